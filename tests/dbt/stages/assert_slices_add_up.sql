-- Fails with: a brand, day and slice kind whose slices do not add up to fast_daily.
-- Why: a slice that loses people makes every comparison of channels wrong.
-- Not claimed: that the channel is the right one.
{{ config(meta={'dagster': {'ref': {'name': 'fast_slices'}}}) }}
{%- set counts = [
    'fertility', 'advancing_base', 'advancing_deepened', 'superiority', 'superiority_super',
    'thriving_active_30d', 'thriving_active_180d',
] %}
with summed as (
    select
        brand_id,
        as_of_date,
        slice_kind
        {%- for count in counts %},
        sum({{ count }}) as {{ count }}
        {%- endfor %}
    from {{ ref('fast_slices') }}
    group by brand_id, as_of_date, slice_kind
)

select
    fast_daily.brand_id,
    fast_daily.as_of_date,
    kinds.slice_kind
from {{ ref('fast_daily') }} as fast_daily
cross join (
    select 'acquisition_channel' as slice_kind
    union all
    select 'acquisition_domain' as slice_kind
) as kinds
left join summed
    on
        fast_daily.brand_id = summed.brand_id
        and fast_daily.as_of_date = summed.as_of_date
        and kinds.slice_kind = summed.slice_kind
where
    {%- for count in counts %}
    {{ 'or ' if not loop.first }}fast_daily.{{ count }} <> coalesce(summed.{{ count }}, 0)
    {%- endfor %}
