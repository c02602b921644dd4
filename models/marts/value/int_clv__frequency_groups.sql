-- Grain: one row per fit, brand, bg_frequency, bg_recency and bg_age.
-- Why: the sufficient statistic of BG/NBD: customers with the same three whole numbers are one row with a weight.
-- Not here: money (int_clv__spend_groups).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

select
    fit_name,
    brand_id,
    bg_frequency,
    bg_recency,
    bg_age,
    count(*) as customers,
    min(first_purchase_on) as first_purchase_on,
    max(observation_date) as observation_date
from {{ ref('int_clv__customers') }}
group by fit_name, brand_id, bg_frequency, bg_recency, bg_age
