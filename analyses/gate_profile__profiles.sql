-- One row per candidate batch of `profiles`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('profiles', '"__candidate__"') }}
