-- Grain: one row per landed row of `erasure_requests`, whatever became of it.
-- Why: types the text of the lake and says the fate of every row (macros/landing/fated_rows.sql).
-- Not here: business rules; stg_landing__erasure_requests is the accepted part.
{{ quanyu.fated_rows('erasure_requests') }}
