-- One row per candidate batch of `orders`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('orders', '"__candidate__"') }}
