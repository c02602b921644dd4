-- One row per candidate batch of `touchpoints`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('touchpoints', '"__candidate__"') }}
