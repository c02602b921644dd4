-- Grain: one row per condition, brand, customer, value of the fact and unbroken time in which the condition holds
--        (condition_id, brand_id, customer_key, fact_value, from_day).
-- Why: all conditions on facts, however they are computed.
-- Not here: conditions on tags and audiences, which are answered by spells made of these.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}, materialized='view') }}
{%- for model in ['int_audiences__customer_spells', 'int_audiences__moving_spells'] %}
{{ 'union all' if not loop.first }}
select
    condition_id,
    brand_id,
    customer_key,
    fact_value,
    from_day,
    to_day
from {{ ref(model) }}
{%- endfor %}
