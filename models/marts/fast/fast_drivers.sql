-- Grain: one row per brand, day, metric, driver, stage, acquisition channel, cause and behaviour with a contribution.
-- Why: why a FAST figure is not what it was the day before. The contributions of a day add up to its change; those of
--      several days add up to the change over them; those of a channel to the change of its slice.
-- Not here: days without change; what late rows, merges and new rules did to days already published: that is no step
--           between two days of one history (audit.restatements; audit.published_changes has both together).
-- depends_on: {{ ref('stage_rules') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }} {{ ref('event_types') }}
{%- set model = var('fast_stage_model') %}
{%- set plan = quanyu.stage_plan() %}
{%- set sets = quanyu.fast_sets() %}
{%- set rates = quanyu.fast_rates() %}
with as_of as (
    select {{ quanyu.day_number('as_of_date') }} as last_day
    from {{ ref('as_of') }}
),

ranks as (
    select
        model,
        stage,
        {{ adapter.quote('rank') }} as stage_rank
    from {{ ref('stages') }}
),

spells as (
    select
        spells.model,
        spells.brand_id,
        spells.customer_key,
        spells.stage,
        spells.stage_rank,
        spells.previous_stage,
        spells.previous_rank,
        spells.next_stage,
        coalesce(next_ranks.stage_rank, 0) as next_rank,
        {{ quanyu.day_number('spells.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('spells.valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('int_stages__spells') }} as spells
    inner join as_of on {{ quanyu.day_number('spells.valid_from') }} <= as_of.last_day
    left join ranks as next_ranks on spells.model = next_ranks.model and spells.next_stage = next_ranks.stage
    where spells.model in ('{{ model }}', 'fast_members_30d', 'fast_members_180d', 'fast_super', 'fast_activity')
),

-- `model` is what stay_pairs keeps apart: here nothing.
pairable as (
    select
        'overlap' as model,
        model as stage_model,
        brand_id,
        customer_key,
        stage_rank,
        from_day,
        to_day
    from spells
),

stage_spells as (
    select * from pairable
    where stage_model = '{{ model }}'
),

activity_spells as (
    select * from pairable
    where stage_model = 'fast_activity'
),

-- Customers in a stage and active; customers deeper than a week before (the stage is that of the week before).
active_pairs as (
    {{ quanyu.stay_pairs('stage_spells', 'activity_spells', [0], keys=true) | indent(4) }}
),

week_pairs as (
    {{ quanyu.stay_pairs('stage_spells', 'stage_spells', [7], keys=true) | indent(4) }}
),

pair_ends as (
    {%- for day, sign in [('from_day', 1), ('to_day', -1)] %}
    select
        'fertility_active' as metric,
        brand_id,
        customer_key,
        from_rank as stage_rank,
        {{ day }} as day,
        {{ sign }} as change,
        1 as is_turn
    from active_pairs
    union all
    select
        'advancing_deepened' as metric,
        brand_id,
        customer_key,
        from_rank as stage_rank,
        {{ day }} as day,
        {{ sign }} as change,
        case when {{ day }} = second_{{ day }} then 1 else 0 end as is_turn
    from week_pairs
    where to_rank > from_rank
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Whoever goes from one pair to the next stays counted. By stage of the week before he may leave one and enter another.
pair_steps as (
    select
        metric,
        brand_id,
        customer_key,
        day,
        case when sum(change) > 0 then max(case when change > 0 then stage_rank end)
            else max(case when change < 0 then stage_rank end)
        end as stage_rank,
        sum(change) as change,
        max(is_turn) as is_turn
    from pair_ends
    group by metric, brand_id, customer_key, day
    having sum(change) <> 0
    union all
    select
        'advancing_deepened_by_stage' as metric,
        brand_id,
        customer_key,
        day,
        stage_rank,
        sum(change) as change,
        max(is_turn) as is_turn
    from pair_ends
    where metric = 'advancing_deepened'
    group by stage_rank, brand_id, customer_key, day
    having sum(change) <> 0
),

-- Steps of customers into and out of stages, with what the customer came from or went to.
steps as (
    select
        model,
        brand_id,
        customer_key,
        stage,
        previous_stage as other_stage,
        from_day as day,
        1 as change,
        case when stage_rank > previous_rank then 'rose' else 'fell' end as movement
    from spells
    where model <> 'fast_activity'
    union all
    select
        model,
        brand_id,
        customer_key,
        stage,
        next_stage as other_stage,
        to_day as day,
        -1 as change,
        case when next_rank > stage_rank then 'rose' else 'fell' end as movement
    from spells
    where model <> 'fast_activity' and to_day < {{ quanyu.far_day() }}
    union all
    select
        case
            when pair_steps.metric = 'advancing_deepened_by_stage' then concat('advancing_deepened_', lower(ranks.stage))
            else pair_steps.metric
        end as model,
        pair_steps.brand_id,
        pair_steps.customer_key,
        ranks.stage,
        'none' as other_stage,
        pair_steps.day,
        pair_steps.change,
        case
            when pair_steps.is_turn = 0 then 'compared'
            when pair_steps.change > 0 then 'rose'
            else 'fell'
        end as movement
    from pair_steps
    inner join ranks on ranks.model = '{{ model }}' and pair_steps.stage_rank = ranks.stage_rank
    where pair_steps.day < {{ quanyu.far_day() }}
),

activity as (
    select
        brand_id,
        customer_key,
        {{ quanyu.day_number('activity_date') }} as day,
        refund_amount > 0 as is_refund_day,
        relationships is not null as is_relationship_day,
        {{ quanyu.deepest_behaviour(plan, model, 'behaviours', 'purchase_valid_to is not null') | indent(8) }}
            as behaviour
    from {{ ref('customer_day') }}
),

-- Only what a customer does takes him up; down, a refund or the end of a relationship, else a window that ran out.
explained as (
    select
        steps.model,
        steps.brand_id,
        steps.stage,
        steps.other_stage,
        steps.day,
        steps.change,
        case
            when steps.movement = 'compared' then 'comparison'
            when steps.movement = 'fell' and activity.is_refund_day then 'refund'
            when activity.is_relationship_day then 'relationship'
            when steps.movement = 'fell' then 'window'
            else 'behaviour'
        end as cause,
        case when steps.movement = 'rose' then coalesce(activity.behaviour, 'other') else 'none' end as behaviour,
        coalesce(origins.acquisition_channel, 'unknown') as acquisition_channel
    from steps
    inner join as_of on steps.day <= as_of.last_day
    left join activity
        on
            steps.brand_id = activity.brand_id
            and steps.customer_key = activity.customer_key
            and steps.day = activity.day
    left join {{ ref('int_stages__origins') }} as origins
        on steps.brand_id = origins.brand_id and steps.customer_key = origins.customer_key
),

added_up as (
    select
        model,
        brand_id,
        stage,
        other_stage,
        day,
        cause,
        behaviour,
        acquisition_channel,
        case when change > 0 then 'entered' else 'left' end as driver,
        sum(change) as contribution
    from explained
    group by
        model, brand_id, stage, other_stage, day, cause, behaviour, acquisition_channel,
        case when change > 0 then 'entered' else 'left' end
),

counted as (
    {%- for metric, set in sets.items() %}
    select
        '{{ metric }}' as metric,
        brand_id,
        day + {{ set.lag }} as day,
        driver,
        stage,
        acquisition_channel,
        cause,
        behaviour,
        contribution
    from added_up
    where
        model = '{{ set.model }}'
        and stage in ({{ quanyu.quoted(set.stages) }})
        and other_stage not in ({{ quanyu.quoted(set.stages) }})
    union all
    {%- endfor %}
    select
        model as metric,
        brand_id,
        day,
        driver,
        stage,
        acquisition_channel,
        cause,
        behaviour,
        contribution
    from added_up
    where model not in ({{ quanyu.quoted(sets.values() | map(attribute='model') | unique) }})
),

-- A metric does not care what the customer came from or went to.
counts as (
    select
        counted.brand_id,
        counted.day,
        counted.metric,
        counted.driver,
        counted.stage,
        counted.acquisition_channel,
        counted.cause,
        counted.behaviour,
        cast(sum(counted.contribution) as double) as contribution
    from counted
    inner join as_of on counted.day <= as_of.last_day
    group by
        counted.brand_id, counted.day, counted.metric, counted.driver, counted.stage,
        counted.acquisition_channel, counted.cause, counted.behaviour
),

figures as (
    select
        *,
        {{ quanyu.day_number('as_of_date') }} as day
    from {{ ref('fast_daily') }}
),

compared as (
    select
        today.brand_id,
        today.day
        {%- for rate, (top, base) in rates.items() %},
        case when yesterday.{{ base }} > 0 and today.{{ base }} > 0 then today.{{ base }} end as {{ rate }}_base,
        yesterday.{{ rate }} as {{ rate }}_before
        {%- endfor %}
    from figures as today
    inner join figures as yesterday on today.brand_id = yesterday.brand_id and today.day = yesterday.day + 1
),

-- n1/b1 - n0/b0 = (n1 - n0)/b1 - (n0/b0)(b1 - b0)/b1: what the people who count did, and what the base did.
rated as (
    {%- for rate, (top, base) in rates.items() %}
    {%- for part, driver in [(top, 'numerator'), (base, 'denominator')] %}
    select
        counts.brand_id,
        counts.day,
        '{{ rate }}' as metric,
        '{{ driver }}' as driver,
        counts.stage,
        counts.acquisition_channel,
        counts.cause,
        counts.behaviour,
        {{ '-1.0 * min(compared.' ~ rate ~ '_before) *' if driver == 'denominator' }} sum(counts.contribution)
        / min(compared.{{ rate }}_base) as contribution
    from counts
    inner join compared on counts.brand_id = compared.brand_id and counts.day = compared.day
    where counts.metric = '{{ part }}' and compared.{{ rate }}_base is not null
    group by counts.brand_id, counts.day, counts.stage, counts.acquisition_channel, counts.cause, counts.behaviour
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

fast_drivers as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        {{ quanyu.day_date('day') }} as as_of_date,
        cast(metric as {{ dbt.type_string() }}) as metric,
        cast(driver as {{ dbt.type_string() }}) as driver,
        cast(stage as {{ dbt.type_string() }}) as stage,
        cast(acquisition_channel as {{ dbt.type_string() }}) as acquisition_channel,
        cast(cause as {{ dbt.type_string() }}) as cause,
        cast(behaviour as {{ dbt.type_string() }}) as behaviour,
        cast(contribution as double) as contribution
    from (
        select * from counts
        union all
        select * from rated
    ) as parts
    where contribution <> 0
)

select * from fast_drivers
order by brand_id, as_of_date, metric, driver, stage, acquisition_channel, cause, behaviour
