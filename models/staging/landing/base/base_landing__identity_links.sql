-- Grain: one row per landed row of `identity_links`, whatever became of it.
-- Why: types the text of the lake and says the fate of every row (macros/landing/fated_rows.sql).
-- Not here: business rules; stg_landing__identity_links is the accepted part.
{{ quanyu.fated_rows('identity_links') }}
