-- Grain: one row per landed row of `campaign_costs`, whatever became of it.
-- Why: types the text of the lake and says the fate of every row (macros/landing/fated_rows.sql).
-- Not here: business rules; stg_landing__campaign_costs is the accepted part.
{{ quanyu.fated_rows('campaign_costs') }}
