-- Grain: one row per condition, brand, customer, value of the fact and unbroken time in which the condition holds
--        (condition_id, brand_id, customer_key, fact_value, from_day).
-- Why: every subject that a tag or audience rule may ask about becomes dated, weighted spells, and one sweep answers all
--      conditions. `fact_value` is empty except where a tag takes its value from the fact.
-- Not here: conditions on tags and audiences, which are answered by spells made of these.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set far = quanyu.far_day() %}

with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

conditions as (
    select distinct
        condition_id,
        is_valued,
        subject,
        name,
        value,
        channel,
        measure,
        min_value,
        max_value,
        window_days,
        days_ago,
        -- Any fact at all will do, so nothing need be added up.
        measure <> 'amount' and subject <> 'score' and min_value <= 1 and max_value is null as is_any
    from {{ ref('int_audiences__conditions') }}
    where subject not in ('tag', 'audience')
),

condition_values as (
    select
        condition_id,
        {{ quanyu.split_items('value') }} as value
    from conditions
),

condition_channels as (
    select
        condition_id,
        {{ quanyu.split_items('channel') }} as channel
    from conditions
),

-- One row per thing that a condition names.
terms as (
    select
        conditions.condition_id,
        conditions.is_valued,
        conditions.subject,
        conditions.name,
        condition_values.value,
        condition_channels.channel,
        conditions.measure,
        conditions.window_days,
        conditions.days_ago,
        conditions.is_any
    from conditions
    inner join condition_values on conditions.condition_id = condition_values.condition_id
    inner join condition_channels on conditions.condition_id = condition_channels.condition_id
),

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
    where touchpoints.event_type in (select behaviour_terms.event_type from behaviour_terms)
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
    where touchpoint_count > 0
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

reachable as (
    select
        brand_id,
        customer_key,
        'any' as name,
        channel as value,
        from_day,
        to_day,
        from_day as anchor_day,
        1 as weight
    from {{ ref('int_audiences__reach_spells') }}
),

stages as (
    select
        brand_id,
        customer_key,
        model as name,
        stage as value,
        stage_rank,
        next_stage,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ far }}) as to_day,
        {{ quanyu.day_number('valid_from') }} as anchor_day,
        1 as weight
    from {{ ref('int_stages__spells') }}
    where model in (
        select terms.name
        from terms
        where terms.subject in ('stage', 'flow')
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
    from stages
    where name in (
        select terms.name
        from terms
        where terms.subject = 'flow'
    )
    union all
    select
        brand_id,
        customer_key,
        name,
        'none',
        0,
        to_day,
        lead(from_day, 1, {{ far }}) over (partition by name, brand_id, customer_key order by from_day)
    from stages
    where name in (
        select terms.name
        from terms
        where terms.subject = 'flow'
    )
    union all
    select
        brand_id,
        customer_key,
        name,
        'none',
        0,
        0,
        min(from_day)
    from stages
    where name in (
        select terms.name
        from terms
        where terms.subject = 'flow'
    )
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
    select
        orders.source_system,
        orders.order_id,
        orders.brand_id,
        orders.customer_key,
        orders.channel,
        {{ quanyu.day_number('orders.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('orders.valid_to') }}, {{ far }}) as to_day,
        orders.paid_amount
    from {{ ref('fct_orders') }} as orders
    inner join as_of on orders.valid_from <= as_of.as_of_date
    where orders.customer_key is not null and (orders.valid_to is null or orders.valid_to > orders.valid_from)
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
    where status = 'created' and customer_key is not null
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

order_products as (
    select distinct
        source_system,
        order_id,
        category,
        product_id
    from {{ ref('fct_order_lines') }}
),

bought as (
    select distinct
        valid_orders.brand_id,
        valid_orders.customer_key,
        'category' as name,
        order_products.category as value,
        valid_orders.from_day,
        valid_orders.to_day,
        valid_orders.from_day as anchor_day,
        1 as weight,
        valid_orders.order_id
    from valid_orders
    inner join order_products
        on
            valid_orders.source_system = order_products.source_system
            and valid_orders.order_id = order_products.order_id
    where order_products.category is not null
    union all
    select distinct
        valid_orders.brand_id,
        valid_orders.customer_key,
        'product' as name,
        order_products.product_id as value,
        valid_orders.from_day,
        valid_orders.to_day,
        valid_orders.from_day as anchor_day,
        1 as weight,
        valid_orders.order_id
    from valid_orders
    inner join order_products
        on
            valid_orders.source_system = order_products.source_system
            and valid_orders.order_id = order_products.order_id
    where exists (
        select 1 as found
        from terms
        where terms.subject = 'bought' and terms.name = 'product'
    )
),

carts as (
    select
        brand_id,
        customer_key,
        kind as name,
        product_id as value,
        {{ quanyu.day_number('valid_from') }} as from_day,
        {{ quanyu.day_number('valid_to') }} as to_day,
        {{ quanyu.day_number('added_on') }} as anchor_day,
        1 as weight
    from {{ ref('int_audiences__cart_spells') }}
),

sent_messages as (
    select
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        identities.customer_key,
        messages.channel,
        messages.sent_at,
        messages.delivered_at,
        messages.opened_at,
        messages.clicked_at,
        messages.unsubscribed_at
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('int_identity__customer_map') }} as identities
        on messages.identifier_key = identities.identifier_key
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where
        messages.failed_reason is null
        and not coalesce(messages.is_control, false)
),

message_days as (
    {%- for what in ['sent', 'delivered', 'opened', 'clicked', 'unsubscribed'] %}
    {{ 'union all' if not loop.first }}
    select
        brand_id,
        customer_key,
        '{{ what }}' as name,
        channel as value,
        channel,
        {{ quanyu.day_number('cast(' ~ what ~ '_at as date)') }} as from_day,
        {{ far }} as to_day,
        {{ quanyu.day_number('cast(' ~ what ~ '_at as date)') }} as anchor_day,
        1 as weight
    from sent_messages
    where
        {{ what }}_at is not null
        and cast({{ what }}_at as date) <= (select as_of.as_of_date from as_of)
    {%- endfor %}
),

-- The class of a month end holds until the next one; on the as-of date that of the day itself does.
rfm as (
    select
        rfm_customers.brand_id,
        customers.customer_key,
        rfm_customers.scope as name,
        rfm_customers.rfm_code as value,
        {{ quanyu.day_number('rfm_customers.as_of_date') }} as from_day,
        coalesce({{ quanyu.day_number('observed.next_date') }}, {{ far }}) as to_day,
        {{ quanyu.day_number('rfm_customers.as_of_date') }} as anchor_day,
        1 as weight
    from {{ ref('rfm_customers') }} as rfm_customers
    inner join customers on rfm_customers.customer_id = customers.customer_id
    inner join (
        select
            observation_date,
            lead(observation_date) over (order by observation_date) as next_date
        from {{ ref('int_rfm__observation_dates') }}
    ) as observed on rfm_customers.as_of_date = observed.observation_date
    where rfm_customers.scope in (
        select terms.name
        from terms
        where terms.subject = 'rfm'
    )
),

-- Purchase days with the cycle expected after each of them, by the cycles as measured on the as-of date.
cycle_gaps as (
    select
        gaps.brand_id,
        gaps.customer_key,
        gaps.category,
        {{ quanyu.day_number('gaps.purchased_on') }} as purchase_day,
        {{ quanyu.day_number('min(gaps.purchased_on) over earlier') }} as first_day,
        count(*) over earlier as purchase_days,
        gaps.is_completed,
        gaps.gap_days,
        cycles.cycle_days as category_cycle_days
    from {{ ref('int_value__gaps') }} as gaps
    inner join {{ ref('int_value__cycles') }} as cycles
        on
            gaps.observation = cycles.observation
            and gaps.brand_id = cycles.brand_id
            and gaps.kind = cycles.kind
            and gaps.category = cycles.category
    where gaps.observation = 'as_of' and gaps.kind in ('any', 'same')
    window earlier as (
        partition by gaps.brand_id, gaps.customer_key, gaps.kind, gaps.category order by gaps.purchased_on
        rows between unbounded preceding and current row
    )
),

cycles as (
    select
        brand_id,
        customer_key,
        category,
        purchase_day,
        case when is_completed then purchase_day + gap_days else {{ far }} end as next_purchase_day,
        (purchase_day - first_day + {{ var('repurchase_shrinkage') }} * category_cycle_days)
        / (purchase_days - 1 + {{ var('repurchase_shrinkage') }}) as cycle_days
    from cycle_gaps
),

cycle_facts as (
    {%- set ratios = [
        ('active', none, var('churn_due_ratio')), ('due', var('churn_due_ratio'), var('churn_warning_ratio')),
        ('warning', var('churn_warning_ratio'), var('churn_lost_ratio')), ('churned', var('churn_lost_ratio'), none),
    ] %}
    {%- for band, from_ratio, to_ratio in ratios %}
    select
        brand_id,
        customer_key,
        'band' as name,
        '{{ band }}' as value,
        {{ 'purchase_day + cast(ceil(' ~ from_ratio ~ ' * greatest(cycle_days, 1)) as integer)'
            if from_ratio is not none else 'purchase_day' }} as from_day,
        {{ 'least(next_purchase_day, purchase_day + cast(ceil(' ~ to_ratio ~ ' * greatest(cycle_days, 1)) as integer))'
            if to_ratio is not none else 'next_purchase_day' }} as to_day
    from cycles
    where category = '*'
    union all
    {%- endfor %}
    select
        brand_id,
        customer_key,
        'due' as name,
        category as value,
        greatest(
            purchase_day,
            purchase_day + cast(round(cycle_days) as integer) - {{ quanyu.reminder_lead_days('cycle_days') }}
        ) as from_day,
        least(
            next_purchase_day,
            purchase_day + cast(round(cycle_days) as integer) + {{ quanyu.reminder_lead_days('cycle_days') }} + 1
        ) as to_day
    from cycles
    where category <> '*'
),

dated_cycles as (
    select
        *,
        from_day as anchor_day,
        1 as weight
    from cycle_facts
    where from_day < to_day
),

-- Model scores and owners have no history: they hold from the as-of date on.
scores as (
    {%- for score in ['is_high_value', 'clv', 'p_alive'] %}
    select
        clv_customers.brand_id,
        customers.customer_key,
        '{{ score }}' as name,
        '' as value,
        as_of.as_of_day as from_day,
        {{ far }} as to_day,
        as_of.as_of_day as anchor_day,
        {{ 'case when clv_customers.is_high_value then 1 else 0 end' if score == 'is_high_value'
            else 'round(clv_customers.' ~ score ~ ', 4)' }} as weight
    from {{ ref('clv_customers') }} as clv_customers
    inner join customers on clv_customers.customer_id = customers.customer_id
    cross join as_of
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

owners as (
    select
        reach.brand_id,
        reach.customer_key,
        '' as name,
        reach.owner_id as value,
        as_of.as_of_day as from_day,
        {{ far }} as to_day,
        as_of.as_of_day as anchor_day,
        1 as weight
    from {{ ref('int_value__reach') }} as reach
    cross join as_of
    where reach.owner_id is not null
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
        ('reachable', 'reachable', {}),
        ('stages', 'stage', {}),
        ('bought', 'bought', {}),
        ('carts', 'cart', {}),
        ('message_days', 'message', {'has_value': false, 'has_channel': true}),
        ('rfm', 'rfm', {}),
        ('dated_cycles', 'cycle', {}),
        ('scores', 'score', {'has_value': false}),
        ('owners', 'owner', {}),
    ] %}
    union all
    {{- quanyu.facts_of_subject(relation, subject, **options) }}
    {%- endfor %}
),

counted as (
    select facts.*
    from facts
    where facts.from_day < facts.to_day and facts.customer_key in (select customers.customer_key from customers)
),

any_fact as (
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        to_day
    from counted
    where is_any
),

-- A day counts once for `days`, however much happened on it.
weighted as (
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        to_day,
        weight
    from counted
    where not is_any and measure <> 'days'
    union all
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        max(to_day) as to_day,
        1 as weight
    from counted
    where not is_any and measure = 'days'
    group by condition_id, brand_id, customer_key, fact_value, from_day
),

int_audiences__condition_spells as (
    {{ quanyu.union_of_spells(
        'any_fact', ['condition_id', 'brand_id', 'customer_key', 'fact_value'],
    ) | indent(4) }}
    union all
    {{ quanyu.spells_where(
        'weighted', ['condition_id', 'brand_id', 'customer_key', 'fact_value'],
        '{total} >= conditions.min_value and (conditions.max_value is null or {total} <= conditions.max_value)',
        'inner join conditions on totals.condition_id = conditions.condition_id',
    ) | indent(4) }}
)

select * from int_audiences__condition_spells
