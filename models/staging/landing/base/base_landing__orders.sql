-- Grain: one row per landed row of `orders`, whatever became of it.
-- Why: types the text of the lake and says the fate of every row (macros/landing/fated_rows.sql).
-- Not here: business rules; stg_landing__orders is the accepted part.
{{ quanyu.fated_rows('orders') }}
