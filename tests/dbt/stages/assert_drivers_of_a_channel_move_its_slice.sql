-- Fails with: a brand, day, acquisition channel and metric whose contributions are not the change of the slice.
-- Why: fast_drivers and fast_slices count the same people along different ways; a channel must not explain another's.
-- Not claimed: rates, whose parts are points of the whole brand's rate.
{{ config(meta={'dagster': {'ref': {'name': 'fast_drivers'}}}) }}
{%- set counts = [
    'fertility', 'advancing_base', 'advancing_deepened', 'superiority', 'superiority_super',
    'thriving_active_30d', 'thriving_active_180d',
] %}
with changes as (
    {%- for metric in counts %}
    select
        today.brand_id,
        today.as_of_date,
        today.slice as acquisition_channel,
        '{{ metric }}' as metric,
        today.{{ metric }} - coalesce(yesterday.{{ metric }}, 0) as change
    from {{ ref('fast_slices') }} as today
    left join {{ ref('fast_slices') }} as yesterday
        on
            today.brand_id = yesterday.brand_id
            and today.slice_kind = yesterday.slice_kind
            and today.slice = yesterday.slice
            and today.as_of_date = {{ quanyu.add_days('yesterday.as_of_date', 1) }}
    where today.slice_kind = 'acquisition_channel'
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

explained as (
    select
        brand_id,
        as_of_date,
        acquisition_channel,
        metric,
        sum(contribution) as contribution
    from {{ ref('fast_drivers') }}
    where metric in ({{ quanyu.quoted(counts) }})
    group by brand_id, as_of_date, acquisition_channel, metric
)

select
    coalesce(changes.brand_id, explained.brand_id) as brand_id,
    coalesce(changes.as_of_date, explained.as_of_date) as as_of_date,
    coalesce(changes.acquisition_channel, explained.acquisition_channel) as acquisition_channel,
    coalesce(changes.metric, explained.metric) as metric,
    changes.change,
    explained.contribution
from changes
full join explained
    on
        changes.brand_id = explained.brand_id
        and changes.as_of_date = explained.as_of_date
        and changes.acquisition_channel = explained.acquisition_channel
        and changes.metric = explained.metric
where coalesce(changes.change, 0) <> coalesce(explained.contribution, 0)
