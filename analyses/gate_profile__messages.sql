-- One row per candidate batch of `messages`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('messages', '"__candidate__"') }}
