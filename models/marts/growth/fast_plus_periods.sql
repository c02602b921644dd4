-- Grain: one row per brand, period kind (month, promotion) and period that has begun by the as-of date.
-- Why: FAST+: what members and the private domain contribute, in people and in money.
-- Not here: weeks; FAST itself (fast_periods, the same periods); CLV by crowd (crowd_matrix); groups (group_pull).
-- Orders count when they are valid on the as-of date; GMV is their money less what came back. Private GMV is that of
-- orders placed in a channel of the private domain.
{%- set model = var('fast_stage_model') %}
with periods as (
    select
        brand_id,
        period_kind,
        period_id,
        starts_on,
        ends_on,
        last_on,
        is_complete,
        {{ quanyu.add_days('starts_on', -1) }} as day_before
    from {{ ref('fast_periods') }}
    where period_kind <> 'week'
),

calendar as (
    select
        brand_id,
        as_of_date
    from {{ ref('int_stages__calendar') }}
),

-- An equality finds the periods of a day: a range would compare every day with every period.
period_days as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        calendar.as_of_date
    from periods
    inner join calendar
        on
            periods.brand_id = calendar.brand_id
            and calendar.as_of_date between periods.starts_on and periods.last_on
),

customers as (
    {{ quanyu.counted_customers() }}
),

memberships as (
    select
        brand_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('fct_membership_spells') }}
),

-- One row per order, member or not on its day; a person may hold two memberships.
orders as (
    select
        orders.brand_id,
        orders.customer_key,
        orders.purchased_on,
        orders.channel_domain,
        orders.source_system,
        orders.order_id,
        max(orders.net_amount) as net_amount,
        max(case when memberships.customer_key is not null then 1 else 0 end) as is_member
    from {{ ref('fct_orders') }} as orders
    left join memberships
        on
            orders.brand_id = memberships.brand_id
            and orders.customer_key = memberships.customer_key
            and orders.purchased_on >= memberships.valid_from
            and orders.purchased_on < memberships.valid_to
    where orders.is_valid_purchase
    group by
        orders.brand_id, orders.customer_key, orders.purchased_on, orders.channel_domain,
        orders.source_system, orders.order_id
),

order_days as (
    select
        orders.brand_id,
        case when customers.customer_key is not null then orders.customer_key end as customer_key,
        orders.purchased_on,
        max(orders.is_member) as is_member,
        max(case when orders.channel_domain = 'private' then 1 else 0 end) as is_private,
        sum(orders.net_amount) as net_amount,
        sum(case when orders.is_member = 1 then orders.net_amount else 0 end) as member_net_amount,
        sum(case when orders.channel_domain = 'private' then orders.net_amount else 0 end) as private_net_amount
    from orders
    left join customers on orders.customer_key = customers.customer_key
    group by
        orders.brand_id, orders.purchased_on,
        case when customers.customer_key is not null then orders.customer_key end
),

trade as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        count(distinct order_days.customer_key) as buyers,
        count(distinct case when order_days.is_member = 1 then order_days.customer_key end) as member_buyers,
        count(distinct case when order_days.is_private = 1 then order_days.customer_key end) as private_buyers,
        sum(order_days.net_amount) as net_amount,
        sum(order_days.member_net_amount) as member_net_amount,
        sum(order_days.private_net_amount) as private_net_amount
    from period_days as periods
    inner join order_days
        on periods.brand_id = order_days.brand_id and periods.as_of_date = order_days.purchased_on
    group by periods.brand_id, periods.period_kind, periods.period_id
),

buyer_firsts as (
    select
        brand_id,
        customer_key,
        min(purchased_on) as first_purchase_on
    from order_days
    where customer_key is not null
    group by brand_id, customer_key
),

-- Days on which a customer was a member, whatever the number of cards.
member_spells as (
    select
        brand_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = 'fast_members_30d'
),

-- The private domain, and those of it who are an asset in the stage model of FAST.
private_spells as (
    select
        brand_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_private__reach_spells') }}
    where reach_channel = 'any'
),

private_stages as (
    select
        private_spells.brand_id,
        greatest(private_spells.valid_from, stages.valid_from) as valid_from,
        least(private_spells.valid_to, coalesce(stages.valid_to, {{ quanyu.far_date() }})) as valid_to
    from private_spells
    inner join {{ ref('int_stages__spells') }} as stages
        on
            private_spells.brand_id = stages.brand_id
            and private_spells.customer_key = stages.customer_key
            and private_spells.valid_from < coalesce(stages.valid_to, {{ quanyu.far_date() }})
            and private_spells.valid_to > stages.valid_from
    where stages.model = '{{ model }}'
),

-- Heads that come and go, by day: a stock of any day is their sum so far.
heads as (
    select
        brand_id,
        first_purchase_on as on_date,
        1 as non_member_buyers,
        0 as private_customers,
        0 as private_stage_customers
    from buyer_firsts
    {%- for day, sign in [('greatest(member_spells.valid_from, buyer_firsts.first_purchase_on)', -1), ('member_spells.valid_to', 1)] %}
    union all
    select
        buyer_firsts.brand_id,
        {{ day }} as on_date,
        {{ sign }} as non_member_buyers,
        0 as private_customers,
        0 as private_stage_customers
    from buyer_firsts
    inner join member_spells
        on
            buyer_firsts.brand_id = member_spells.brand_id
            and buyer_firsts.customer_key = member_spells.customer_key
            and buyer_firsts.first_purchase_on < member_spells.valid_to
    {%- endfor %}
    {%- for part, column in [('private_spells', 1), ('private_stages', 2)] %}
    {%- for day, sign in [('valid_from', 1), ('valid_to', -1)] %}
    union all
    select
        brand_id,
        {{ day }} as on_date,
        0 as non_member_buyers,
        {{ sign if column == 1 else 0 }} as private_customers,
        {{ sign if column == 2 else 0 }} as private_stage_customers
    from {{ part }}
    {%- endfor %}
    {%- endfor %}
),

head_changes as (
    select
        brand_id,
        on_date,
        sum(non_member_buyers) as non_member_buyers,
        sum(private_customers) as private_customers,
        sum(private_stage_customers) as private_stage_customers
    from heads
    group by brand_id, on_date
),

head_counts as (
    select
        calendar.brand_id,
        calendar.as_of_date,
        {%- for column in ['non_member_buyers', 'private_customers', 'private_stage_customers'] %}
        sum(coalesce(head_changes.{{ column }}, 0)) over (
            partition by calendar.brand_id order by calendar.as_of_date
            rows between unbounded preceding and current row
        ) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from calendar
    left join head_changes
        on calendar.brand_id = head_changes.brand_id and calendar.as_of_date = head_changes.on_date
),

-- Buyers who were no members on the day before the period, and joined in it.
joined as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        count(distinct starts.customer_key) as joined_buyers
    from member_spells as starts
    inner join period_days
        on starts.brand_id = period_days.brand_id and starts.valid_from = period_days.as_of_date
    inner join periods
        on
            period_days.brand_id = periods.brand_id
            and period_days.period_kind = periods.period_kind
            and period_days.period_id = periods.period_id
    inner join buyer_firsts
        on
            starts.brand_id = buyer_firsts.brand_id
            and starts.customer_key = buyer_firsts.customer_key
            and periods.day_before >= buyer_firsts.first_purchase_on
    left join member_spells as before
        on
            starts.brand_id = before.brand_id
            and starts.customer_key = before.customer_key
            and periods.day_before >= before.valid_from
            and periods.day_before < before.valid_to
    where before.customer_key is null
    group by periods.brand_id, periods.period_kind, periods.period_id
),

stocks as (
    select
        brand_id,
        as_of_date,
        sum(customers) as stage_customers
    from {{ ref('int_stages__daily') }}
    where model = '{{ model }}'
    group by brand_id, as_of_date
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

private_days as (
    select distinct
        scopes.brand_id,
        days.customer_key,
        days.activity_date
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key and scopes.channel_domain = 'private'
    where days.is_counted
),

private_active as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        count(distinct private_days.customer_key) as private_active
    from period_days as periods
    inner join private_days
        on periods.brand_id = private_days.brand_id and periods.as_of_date = private_days.activity_date
    group by periods.brand_id, periods.period_kind, periods.period_id
),

-- Benefits of members: granted in the period, and used in it by the same people.
benefit_days as (
    select
        scopes.brand_id,
        days.customer_key,
        days.activity_date,
        days.is_benefit_grant as is_grant,
        days.is_benefit_use as is_use
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key and scopes.channel = 'all'
    where days.is_counted and (days.is_benefit_grant or days.is_benefit_use)
),

benefit_people as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        benefit_days.customer_key,
        max(case when benefit_days.is_grant then 1 else 0 end) as is_granted,
        max(case when benefit_days.is_use then 1 else 0 end) as is_used
    from period_days as periods
    inner join benefit_days
        on periods.brand_id = benefit_days.brand_id and periods.as_of_date = benefit_days.activity_date
    inner join memberships
        on
            benefit_days.brand_id = memberships.brand_id
            and benefit_days.customer_key = memberships.customer_key
            and benefit_days.activity_date >= memberships.valid_from
            and benefit_days.activity_date < memberships.valid_to
    group by periods.brand_id, periods.period_kind, periods.period_id, benefit_days.customer_key
),

benefits as (
    select
        brand_id,
        period_kind,
        period_id,
        sum(is_granted) as benefit_granted_members,
        sum(is_granted * is_used) as benefit_used_members
    from benefit_people
    group by brand_id, period_kind, period_id
),

counted as (
    select
        periods.*,
        coalesce(stocks.stage_customers, 0) as stage_customers,
        {%- for part, columns in {
            'trade': ['buyers', 'member_buyers', 'private_buyers', 'net_amount', 'member_net_amount', 'private_net_amount'],
            'joined': ['joined_buyers'],
            'before': ['non_member_buyers'],
            'at_end': ['private_customers', 'private_stage_customers'],
            'private_active': ['private_active'],
            'benefits': ['benefit_granted_members', 'benefit_used_members'],
        }.items() %}
        {%- set last_part = loop.last %}
        {%- for column in columns %}
        coalesce({{ part }}.{{ column }}, 0) as {{ column }}{{ ',' if not (last_part and loop.last) }}
        {%- endfor %}
        {%- endfor %}
    from periods
    left join stocks on periods.brand_id = stocks.brand_id and periods.last_on = stocks.as_of_date
    left join head_counts as at_end on periods.brand_id = at_end.brand_id and periods.last_on = at_end.as_of_date
    left join head_counts as before on periods.brand_id = before.brand_id and periods.day_before = before.as_of_date
    {%- for part in ['trade', 'joined', 'private_active', 'benefits'] %}
    left join {{ part }}
        on
            periods.brand_id = {{ part }}.brand_id
            and periods.period_kind = {{ part }}.period_kind
            and periods.period_id = {{ part }}.period_id
    {%- endfor %}
),

fast_plus_periods as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(period_id as {{ dbt.type_string() }}) as period_id,
        starts_on,
        ends_on,
        last_on,
        is_complete,
        cast(buyers as bigint) as buyers,
        cast(member_buyers as bigint) as member_buyers,
        cast(member_buyers as double) / nullif(buyers, 0) as member_penetration_rate,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(member_net_amount as decimal(18, 4)) as member_net_amount,
        cast(member_net_amount as double) / nullif(cast(net_amount as double), 0) as member_amount_share,
        cast(non_member_buyers as bigint) as non_member_buyers,
        cast(joined_buyers as bigint) as joined_buyers,
        cast(joined_buyers as double) / nullif(non_member_buyers, 0) as buyer_to_member_rate,
        cast(private_customers as bigint) as private_customers,
        cast(private_stage_customers as bigint) as private_stage_customers,
        cast(stage_customers as bigint) as stage_customers,
        cast(private_stage_customers as double) / nullif(stage_customers, 0) as private_penetration_rate,
        cast(private_active as bigint) as private_active,
        cast(private_buyers as bigint) as private_buyers,
        cast(private_buyers as double) / nullif(private_active, 0) as private_conversion_rate,
        cast(private_net_amount as decimal(18, 4)) as private_net_amount,
        cast(private_net_amount as double) / nullif(cast(net_amount as double), 0) as private_amount_share,
        cast(benefit_granted_members as bigint) as benefit_granted_members,
        cast(benefit_used_members as bigint) as benefit_used_members,
        cast(benefit_used_members as double) / nullif(benefit_granted_members, 0) as benefit_use_rate
    from counted
)

select * from fast_plus_periods
order by brand_id, period_kind, period_id
