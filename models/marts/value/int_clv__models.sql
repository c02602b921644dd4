-- Grain: one row per fit and brand.
-- Why: the seven parameters side by side.
-- Not here: brands with too few repeat buyers to fit.
{{ config(schema='lifecycle', materialized='view', access='protected', contract={'enforced': false}) }}

select
    fit_name,
    brand_id,
    {%- for parameter in ['r', 'alpha', 'a', 'b', 'p', 'q', 'v'] %}
    max(case when parameter = '{{ parameter }}' then value end) as {{ parameter }},
    {%- endfor %}
    min(case when is_converged then 1 else 0 end) = 1 as is_converged
from {{ ref('int_clv__fits') }}
group by fit_name, brand_id
having min(case when value is null then 0 else 1 end) = 1
