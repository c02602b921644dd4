-- Fails with: a brand, day and metric whose contributions do not add up to the change since the day before.
-- Why: an explanation that leaves a remainder is none.
-- Not claimed: the change of a rate on a day without a denominator on both days.
{{ config(meta={'dagster': {'ref': {'name': 'fast_drivers'}}}) }}
{%- set deepened = ['fertility_active', 'advancing_deepened', 'advancing_deepened_a', 'advancing_deepened_i',
                   'advancing_deepened_p'] %}
with changes as (
    {%- for metric in quanyu.fast_sets().keys() | list + deepened + quanyu.fast_rates().keys() | list %}
    select
        today.brand_id,
        today.as_of_date,
        '{{ metric }}' as metric,
        today.{{ metric }}
        - {{ 'yesterday.' ~ metric if 'rate' in metric else 'coalesce(yesterday.' ~ metric ~ ', 0)' }} as change
    from {{ ref('fast_daily') }} as today
    left join {{ ref('fast_daily') }} as yesterday
        on
            today.brand_id = yesterday.brand_id
            and today.as_of_date = {{ quanyu.add_days('yesterday.as_of_date', 1) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

explained as (
    select
        brand_id,
        as_of_date,
        metric,
        sum(contribution) as contribution
    from {{ ref('fast_drivers') }}
    group by brand_id, as_of_date, metric
)

select
    coalesce(changes.brand_id, explained.brand_id) as brand_id,
    coalesce(changes.as_of_date, explained.as_of_date) as as_of_date,
    coalesce(changes.metric, explained.metric) as metric,
    changes.change,
    explained.contribution
from changes
full join explained
    on
        changes.brand_id = explained.brand_id
        and changes.as_of_date = explained.as_of_date
        and changes.metric = explained.metric
where abs(coalesce(changes.change, 0) - coalesce(explained.contribution, 0)) > 1e-9
