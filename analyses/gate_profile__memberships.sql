-- One row per candidate batch of `memberships`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('memberships', '"__candidate__"') }}
