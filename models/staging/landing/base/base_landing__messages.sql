-- Grain: one row per landed row of `messages`, whatever became of it.
-- Why: types the text of the lake and says the fate of every row (macros/landing/fated_rows.sql).
-- Not here: business rules; stg_landing__messages is the accepted part.
{{ quanyu.fated_rows('messages') }}
