-- Grain: one row per fit, brand, bg_frequency and repeat_amount of repeat buyers.
-- Why: the sufficient statistic of Gamma-Gamma: repeat purchases and what they came to.
-- Not here: one-time buyers and repeat buyers who got all money back.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

select
    fit_name,
    brand_id,
    bg_frequency,
    cast(repeat_amount as double) as repeat_amount,
    count(*) as customers
from {{ ref('int_clv__customers') }}
where bg_frequency > 0 and repeat_amount > 0
group by fit_name, brand_id, bg_frequency, repeat_amount
