-- Grain: one row per condition, brand, customer, value of the fact and unbroken time in which the condition holds
--        (condition_id, brand_id, customer_key, fact_value, from_day).
-- Why: every subject that a tag or audience rule may ask about becomes dated, weighted spells, and one sweep answers all
--      conditions. These subjects hang on what the customer did, so that only the customers touched are swept again.
--      `fact_value` is empty except where a tag takes its value from the fact.
-- Not here: the other subjects (int_audiences__moving_spells).
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced',
    pre_hook='{{ quanyu.trace_touched(quanyu.audience_settings()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }} {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }}
{%- set far = quanyu.far_day() %}
{%- set settings = quanyu.audience_settings() %}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    select counted.customer_key
    from (
        {{ quanyu.counted_customers() }}
    ) as counted
    {%- if is_incremental() %}
    where counted.customer_key in ({{ quanyu.traced() }})
    {%- endif %}
),

{{ quanyu.condition_terms('in (' ~ quanyu.subjects_of_customers() ~ ')') }},

-- Behaviours: event types themselves, or what the seed stage_behaviours gathers under a name.
behaviours as (
    select
        behaviour,
        name as event_type,
        value_from,
        value_below,
        value_unknown
    from {{ ref('stage_behaviours') }}
    where source = 'touchpoint' and name <> '*'
    union all
    select
        event_types.event_type as behaviour,
        event_types.event_type,
        null,
        null,
        null
    from {{ ref('event_types') }} as event_types
    left join {{ ref('stage_behaviours') }} as named on event_types.event_type = named.behaviour
    where named.behaviour is null
),

behaviour_terms as (
    select
        terms.*,
        behaviours.event_type,
        behaviours.value_from,
        behaviours.value_below,
        behaviours.value_unknown
    from terms
    inner join behaviours on terms.name = behaviours.behaviour
    where terms.subject = 'behaviour'
),

touchpoint_days as (
    select
        touchpoints.brand_id,
        touchpoints.customer_key,
        touchpoints.event_type,
        touchpoints.channel,
        touchpoints.event_value,
        {{ quanyu.day_number('touchpoints.occurred_on') }} as day,
        count(*) as events
    from {{ ref('fct_touchpoints') }} as touchpoints
    where
        touchpoints.event_type in (select behaviour_terms.event_type from behaviour_terms)
        and touchpoints.customer_key {{ quanyu.of_customers() }}
        {%- if is_incremental() %}
        and {{ quanyu.is_rewritten(settings) | indent(8) }}
        {%- endif %}
    group by 1, 2, 3, 4, 5, 6
),

touchpoint_spells as (
    select
        terms.condition_id,
        facts.brand_id,
        facts.customer_key,
        case when terms.is_valued then facts.channel else '' end as fact_value,
        terms.measure,
        terms.is_any,
        facts.day + coalesce(terms.days_ago, 0) as from_day,
        coalesce(facts.day + terms.window_days, {{ far }}) as to_day,
        cast(
            case when terms.measure = 'amount' then facts.events * coalesce(facts.event_value, 0) else facts.events end
            as decimal(18, 4)
        ) as weight
    from touchpoint_days as facts
    inner join behaviour_terms as terms
        on
            facts.event_type = terms.event_type
            and (terms.channel = '*' or facts.channel = terms.channel)
            and (
                terms.value_from is null and terms.value_below is null
                or (
                    facts.event_value is not null
                    and (terms.value_from is null or facts.event_value >= terms.value_from)
                    and (terms.value_below is null or facts.event_value < terms.value_below)
                )
                or facts.event_value is null and coalesce(terms.value_unknown, false)
            )
),

activity as (
    select
        brand_id,
        customer_key,
        'any_touchpoint' as name,
        '' as value,
        {{ quanyu.day_number('activity_date') }} as from_day,
        {{ far }} as to_day,
        {{ quanyu.day_number('activity_date') }} as anchor_day,
        touchpoint_count as weight
    from {{ ref('customer_day') }}
    where touchpoint_count > 0 and customer_key {{ quanyu.of_customers() }}
),

existence as (
    select
        brand_id,
        customer_key,
        '' as name,
        '' as value,
        {{ quanyu.day_number('min(activity_date)') }} as from_day,
        {{ far }} as to_day,
        {{ quanyu.day_number('min(activity_date)') }} as anchor_day,
        1 as weight
    from {{ ref('customer_day') }}
    where customer_key {{ quanyu.of_customers() }}
    group by brand_id, customer_key
),

relationships as (
    select
        brand_id,
        customer_key,
        relationship as name,
        relationship_key as value,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ far }}) as to_day,
        {{ quanyu.day_number('valid_from') }} as anchor_day,
        1 as weight
    from {{ ref('fct_relationship_spells') }}
    where customer_key {{ quanyu.of_customers() }}
),

any_relationship as (
    select
        brand_id,
        customer_key,
        'any' as name,
        name as value,
        from_day,
        to_day,
        anchor_day,
        weight
    from relationships
),

stages as (
    select
        brand_id,
        customer_key,
        model as name,
        stage as value,
        stage_rank,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ far }}) as to_day,
        {{ quanyu.day_number('valid_from') }} as anchor_day,
        1 as weight
    from {{ ref('int_stages__spells') }}
    where
        model in (
            select terms.name
            from terms
            where terms.subject in ('stage', 'flow')
        )
        and customer_key {{ quanyu.of_customers() }}
),

flow_stages as (
    select * from stages
    where name in (
        select terms.name
        from terms
        where terms.subject = 'flow'
    )
),

-- For flows the days in no stage are a stage of rank 0, before the first stay too.
flow_states as (
    select
        brand_id,
        customer_key,
        name,
        value,
        stage_rank,
        from_day,
        to_day
    from flow_stages
    union all
    select
        brand_id,
        customer_key,
        name,
        'none',
        0,
        to_day,
        lead(from_day, 1, {{ far }}) over (partition by name, brand_id, customer_key order by from_day)
    from flow_stages
    union all
    select
        brand_id,
        customer_key,
        name,
        'none',
        0,
        0,
        min(from_day)
    from flow_stages
    group by brand_id, customer_key, name
),

flow_horizons as (
    select distinct
        name,
        window_days
    from terms
    where subject = 'flow'
),

flows as (
    select
        states.brand_id,
        states.customer_key,
        states.name,
        flow_horizons.window_days,
        earlier.value as earlier_stage,
        states.value as stage,
        earlier.stage_rank as earlier_rank,
        states.stage_rank,
        greatest(states.from_day, earlier.from_day + flow_horizons.window_days) as from_day,
        least(states.to_day, earlier.to_day + flow_horizons.window_days) as to_day
    from flow_states as states
    inner join flow_horizons on states.name = flow_horizons.name
    inner join flow_states as earlier
        on
            states.name = earlier.name
            and states.brand_id = earlier.brand_id
            and states.customer_key = earlier.customer_key
            and states.value <> earlier.value
            and states.from_day < earlier.to_day + flow_horizons.window_days
            and states.to_day > earlier.from_day + flow_horizons.window_days
    where states.from_day < states.to_day and earlier.from_day < earlier.to_day
),

flow_spells as (
    select
        terms.condition_id,
        flows.brand_id,
        flows.customer_key,
        '' as fact_value,
        terms.measure,
        terms.is_any,
        flows.from_day,
        least(flows.to_day, {{ far }}) as to_day,
        cast(1 as decimal(18, 4)) as weight
    from flows
    inner join terms
        on
            terms.subject = 'flow'
            and flows.name = terms.name
            and flows.window_days = terms.window_days
            and case terms.value
                when 'deepened' then flows.earlier_rank > 0 and flows.stage_rank > flows.earlier_rank
                when 'fell_back' then flows.stage_rank > 0 and flows.stage_rank < flows.earlier_rank
                when 'new' then flows.earlier_rank = 0
                when 'lost' then flows.stage_rank = 0
                else terms.value = concat(flows.earlier_stage, '>', flows.stage)
            end
),

valid_orders as (
    {{ quanyu.purchases_in_force() }}
),

-- The first purchase day, as it was known on each day: when the only order before it comes back in full, it moves on.
first_purchase_days as (
    select
        brand_id,
        customer_key,
        from_day as anchor_day,
        max(to_day) as to_day
    from valid_orders
    group by brand_id, customer_key, from_day
),

first_purchases as (
    select
        brand_id,
        customer_key,
        'first_purchase' as name,
        '' as channel,
        anchor_day,
        greatest(anchor_day, coalesce(max(to_day) over (
            partition by brand_id, customer_key order by anchor_day
            rows between unbounded preceding and 1 preceding
        ), 0)) as from_day,
        to_day,
        1 as weight,
        0 as amount
    from first_purchase_days
),

unpaid_orders as (
    select
        brand_id,
        customer_key,
        'unpaid' as name,
        channel,
        {{ quanyu.day_number('ordered_on') }} as anchor_day,
        {{ quanyu.day_number('ordered_on') }} as from_day,
        {{ far }} as to_day,
        1 as weight,
        paid_amount as amount
    from {{ ref('fct_orders') }}
    where status = 'created' and customer_key {{ quanyu.of_customers() }}
),

orders as (
    select
        brand_id,
        customer_key,
        'purchase' as name,
        channel,
        from_day as anchor_day,
        from_day,
        to_day,
        1 as weight,
        paid_amount as amount
    from valid_orders
    union all
    select * from first_purchases
    union all
    select * from unpaid_orders
),

order_spells as (
    select
        terms.condition_id,
        facts.brand_id,
        facts.customer_key,
        case when terms.is_valued then facts.channel else '' end as fact_value,
        terms.measure,
        terms.is_any,
        greatest(facts.from_day, facts.anchor_day + coalesce(terms.days_ago, 0)) as from_day,
        least(facts.to_day, coalesce(facts.anchor_day + terms.window_days, {{ far }})) as to_day,
        cast(case when terms.measure = 'amount' then facts.amount else facts.weight end as decimal(18, 4)) as weight
    from orders as facts
    inner join terms
        on
            terms.subject = 'order'
            and facts.name = terms.name
            and (terms.channel = '*' or facts.channel = terms.channel)
),

facts as (
    select * from touchpoint_spells
    union all
    select * from flow_spells
    union all
    select * from order_spells
    {%- for relation, subject, options in [
        ('activity', 'behaviour', {'has_value': false}),
        ('existence', 'everyone', {'has_value': false}),
        ('relationships', 'relationship', {}),
        ('any_relationship', 'relationship', {}),
        ('stages', 'stage', {}),
    ] %}
    union all
    {{- quanyu.facts_of_subject(relation, subject, **options) }}
    {%- endfor %}
),

{{ quanyu.answered_conditions() }}

select
    answered.*,
    '{{ settings }}' as _settings,
    cast({{ quanyu.refresh_number() }} as bigint) as _refresh
from answered
