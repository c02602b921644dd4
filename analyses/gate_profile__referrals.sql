-- One row per candidate batch of `referrals`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('referrals', '"__candidate__"') }}
