-- One row per candidate batch of `products`: what the gate judges (macros/landing/typed.sql).
{{ quanyu.batch_profile('products', '"__candidate__"') }}
