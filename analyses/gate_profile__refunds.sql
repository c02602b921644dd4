-- One row per candidate batch of `refunds`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('refunds', '"__candidate__"') }}
