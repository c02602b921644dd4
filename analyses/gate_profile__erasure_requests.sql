-- One row per candidate batch of `erasure_requests`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('erasure_requests', '"__candidate__"') }}
