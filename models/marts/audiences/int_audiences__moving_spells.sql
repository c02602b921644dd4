-- Grain: one row per condition, brand, customer, value of the fact and unbroken time in which the condition holds
--        (condition_id, brand_id, customer_key, fact_value, from_day).
-- Why: the subjects of rules that change without any act of the customer: classes, cycles and scores, which others set, products,
--      whom staff look after, what is landed of profiles and messages.
-- Not here: the other subjects (int_audiences__customer_spells).
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

{{ quanyu.condition_terms("not in ('tag', 'audience', " ~ quanyu.subjects_of_customers() ~ ')') }},

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
    where customer_key {{ quanyu.of_customers() }}
),

valid_orders as (
    {{ quanyu.purchases_in_force() }}
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
        valid_orders.source_system,
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
        valid_orders.source_system,
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
    where customer_key {{ quanyu.of_customers() }}
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
        identities.customer_key {{ quanyu.of_customers() }}
        and messages.failed_reason is null
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
    where
        gaps.observation = 'as_of' and gaps.kind in ('any', 'same')
        and gaps.customer_key {{ quanyu.of_customers() }}
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
    where reach.owner_id is not null and reach.customer_key {{ quanyu.of_customers() }}
),

facts as (
    {%- for relation, subject, options in [
        ('reachable', 'reachable', {}),
        ('bought', 'bought', {}),
        ('carts', 'cart', {}),
        ('message_days', 'message', {'has_value': false, 'has_channel': true}),
        ('rfm', 'rfm', {}),
        ('dated_cycles', 'cycle', {}),
        ('scores', 'score', {'has_value': false}),
        ('owners', 'owner', {}),
    ] %}
    {{ 'union all' if not loop.first }}
    {{- quanyu.facts_of_subject(relation, subject, **options) }}
    {%- endfor %}
),

{{ quanyu.answered_conditions() }}

select * from answered
