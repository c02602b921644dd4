-- One row per candidate batch of `identity_links`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('identity_links', '"__candidate__"') }}
