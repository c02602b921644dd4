-- One row per candidate batch of `campaigns`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('campaigns', '"__candidate__"') }}
