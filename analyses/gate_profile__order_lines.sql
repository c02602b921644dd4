-- One row per candidate batch of `order_lines`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('order_lines', '"__candidate__"') }}
