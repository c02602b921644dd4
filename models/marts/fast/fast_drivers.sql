-- Grain: one row per brand, day, metric, driver, stage and cause with a contribution.
-- Why: why a FAST figure is not what it was the day before. The contributions of a day add up to its change; those of
--      several days add up to the change over them.
-- Not here: days without change; changes of what had been published (audit.restatements).
{%- set model = var('fast_stage_model') %}
{%- set counts = {
    'fertility': [model, ''], 'superiority': ['fast_members_30d', ''], 'superiority_super': ['fast_super', ''],
    'thriving_active_30d': ['fast_members_30d', 'active'], 'thriving_active_180d': ['fast_members_180d', 'active'],
} %}
{%- set rates = {
    'advancing_rate': ['advancing_deepened', 'advancing_base'],
    'thriving_rate_30d': ['thriving_active_30d', 'superiority'],
    'thriving_rate_180d': ['thriving_active_180d', 'superiority'],
} %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

spells as (
    select spells.*
    from {{ ref('int_stages__spells') }} as spells
    inner join as_of on spells.valid_from <= as_of.as_of_date
    where spells.model in ('{{ model }}', 'fast_members_30d', 'fast_members_180d', 'fast_super')
),

-- What the customer did on the day; a day on which he did nothing is the work of a window alone.
activity as (
    select
        brand_id,
        customer_key,
        activity_date,
        case
            when refund_amount > 0 then 'refund'
            when relationships is not null then 'relationship'
            else 'behaviour'
        end as cause
    from {{ ref('customer_day') }}
),

-- Steps into and out of the set that a metric counts: all stages of its model, or one of them.
steps as (
    {%- for metric, (set_model, set_stage) in counts.items() %}
    select
        '{{ metric }}' as metric,
        brand_id,
        customer_key,
        stage,
        valid_from as changed_on,
        'entered' as driver,
        1 as change
    from spells
    where
        model = '{{ set_model }}'
        {%- if set_stage %}
        and stage = '{{ set_stage }}'
        {%- else %}
        and previous_rank = 0
        {%- endif %}
    union all
    select
        '{{ metric }}' as metric,
        brand_id,
        customer_key,
        stage,
        valid_to as changed_on,
        'left' as driver,
        -1 as change
    from spells
    where
        model = '{{ set_model }}'
        and valid_to is not null
        {%- if set_stage %}
        and stage = '{{ set_stage }}'
        {%- else %}
        and next_stage = 'none'
        {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        steps.brand_id,
        steps.changed_on as as_of_date,
        steps.metric,
        steps.driver,
        steps.stage,
        coalesce(activity.cause, 'window') as cause,
        cast(sum(steps.change) as double) as contribution
    from steps
    inner join as_of on steps.changed_on <= as_of.as_of_date
    left join activity
        on
            steps.brand_id = activity.brand_id
            and steps.customer_key = activity.customer_key
            and steps.changed_on = activity.activity_date
    group by
        steps.brand_id, steps.changed_on, steps.metric, steps.driver, steps.stage, coalesce(activity.cause, 'window')
),

compared as (
    select
        today.brand_id,
        today.as_of_date
        {%- for metric, (top, base) in rates.items() %},
        today.{{ top }} as {{ metric }}_top,
        today.{{ base }} as {{ metric }}_base,
        yesterday.{{ top }} as {{ metric }}_old_top,
        yesterday.{{ base }} as {{ metric }}_old_base
        {%- endfor %}
    from {{ ref('fast_daily') }} as today
    inner join {{ ref('fast_daily') }} as yesterday
        on
            today.brand_id = yesterday.brand_id
            and today.as_of_date = {{ quanyu.add_days('yesterday.as_of_date', 1) }}
),

-- n1/b1 - n0/b0 = (n1 - n0)/b1 - (n0/b0)(b1 - b0)/b1: what the people who count did, and what the base did.
rated as (
    {%- for metric in rates %}
    select
        brand_id,
        as_of_date,
        '{{ metric }}' as metric,
        'numerator' as driver,
        'all' as stage,
        'rate' as cause,
        ({{ metric }}_top - {{ metric }}_old_top) * 1.0 / {{ metric }}_base as contribution
    from compared
    where {{ metric }}_base > 0 and {{ metric }}_old_base > 0
    union all
    select
        brand_id,
        as_of_date,
        '{{ metric }}' as metric,
        'denominator' as driver,
        'all' as stage,
        'rate' as cause,
        -1.0 * {{ metric }}_old_top / {{ metric }}_old_base
        * ({{ metric }}_base - {{ metric }}_old_base) / {{ metric }}_base as contribution
    from compared
    where {{ metric }}_base > 0 and {{ metric }}_old_base > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

fast_drivers as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        as_of_date,
        cast(metric as {{ dbt.type_string() }}) as metric,
        cast(driver as {{ dbt.type_string() }}) as driver,
        cast(stage as {{ dbt.type_string() }}) as stage,
        cast(cause as {{ dbt.type_string() }}) as cause,
        cast(contribution as double) as contribution
    from (
        select * from counted
        union all
        select * from rated
    ) as parts
    where contribution <> 0
)

select * from fast_drivers
order by brand_id, as_of_date, metric, driver, stage, cause
