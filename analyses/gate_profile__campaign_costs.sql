-- One row per candidate batch of `campaign_costs`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('campaign_costs', '"__candidate__"') }}
