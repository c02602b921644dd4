-- Grain: one row per brand, month and public channel (`all` included) with visitors who were in no private channel.
-- Why: does the public domain fill the private one (公域沉淀), how fast, and what does a private contact cost?
-- Not here: people who had been in a private channel before; visits not yet observed for the days to sink.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
    where channel_domain = 'public'
),

visits as (
    select
        scopes.brand_id,
        scopes.channel,
        days.customer_key,
        cast({{ dbt.date_trunc('month', 'days.activity_date') }} as date) as activity_month,
        min(case when days.is_visit then days.activity_date end) as first_visit_on,
        min(case when days.order_count > 0 then days.activity_date end) as first_order_on
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key
    where days.is_counted and (days.is_visit or days.order_count > 0)
    group by
        scopes.brand_id, scopes.channel, days.customer_key,
        cast({{ dbt.date_trunc('month', 'days.activity_date') }} as date)
),

visits_with_all as (
    select * from visits
    union all
    select
        brand_id,
        'all' as channel,
        customer_key,
        activity_month,
        min(first_visit_on) as first_visit_on,
        min(first_order_on) as first_order_on
    from visits
    group by brand_id, customer_key, activity_month
),

first_contacts as (
    select
        brand_id,
        customer_key,
        min(valid_from) as first_contact_on
    from {{ ref('int_private__reach_spells') }}
    where reach_channel = 'any'
    group by brand_id, customer_key
),

placed as (
    select
        visits_with_all.*,
        first_contacts.first_contact_on,
        -- A purchase is a visit, too.
        coalesce(
            least(visits_with_all.first_visit_on, visits_with_all.first_order_on),
            visits_with_all.first_visit_on, visits_with_all.first_order_on
        ) as met_on
    from visits_with_all
    left join first_contacts
        on
            visits_with_all.brand_id = first_contacts.brand_id
            and visits_with_all.customer_key = first_contacts.customer_key
),

observed as (
    select
        placed.*,
        case
            when
                placed.first_contact_on <= {{ quanyu.add_days('placed.met_on', var('private_sink_days')) }}
                then {{ quanyu.days_between('placed.met_on', 'placed.first_contact_on') }}
        end as days_to_sink,
        case
            when placed.first_order_on is not null and placed.first_contact_on
                between placed.first_order_on and {{ quanyu.add_days('placed.first_order_on', var('private_sink_days')) }}
                then 1
            else 0
        end as has_sunk_after_order
    from placed
    inner join as_of on {{ quanyu.add_days('placed.met_on', var('private_sink_days')) }} <= as_of.as_of_date
    where placed.first_contact_on is null or placed.first_contact_on >= placed.met_on
),

people as (
    select
        brand_id,
        activity_month,
        channel,
        count(*) as public_visitors,
        count(days_to_sink) as sunk_visitors,
        count(first_order_on) as public_buyers,
        sum(has_sunk_after_order) as sunk_buyers,
        percentile_cont(0.5) within group (order by days_to_sink) as median_days_to_sink
    from observed
    group by brand_id, activity_month, channel
),

costs as (
    select
        brand_id,
        channel,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as activity_month,
        sum(cost_amount) as cost_amount
    from {{ ref('aarrr_daily') }}
    where channel in (select scopes.channel from scopes)
    group by brand_id, channel, cast({{ dbt.date_trunc('month', 'as_of_date') }} as date)
),

costs_with_all as (
    select * from costs
    union all
    select
        brand_id,
        'all' as channel,
        activity_month,
        sum(cost_amount) as cost_amount
    from costs
    group by brand_id, activity_month
),

private_sink as (
    select
        cast(people.brand_id as {{ dbt.type_string() }}) as brand_id,
        people.activity_month as visit_month,
        cast(people.channel as {{ dbt.type_string() }}) as public_channel,
        {{ quanyu.add_days('cast(' ~ dbt.last_day('people.activity_month', 'month') ~ ' as date)', var('private_sink_days')) }}
        <= as_of.as_of_date as is_complete,
        cast(people.public_visitors as bigint) as public_visitors,
        cast(people.sunk_visitors as bigint) as sunk_visitors,
        cast(people.sunk_visitors as double) / people.public_visitors as sink_rate,
        cast(people.public_buyers as bigint) as public_buyers,
        cast(people.sunk_buyers as bigint) as sunk_buyers,
        cast(people.sunk_buyers as double) / nullif(people.public_buyers, 0) as buyer_sink_rate,
        cast(people.median_days_to_sink as double) as median_days_to_sink,
        cast(costs_with_all.cost_amount as decimal(18, 4)) as cost_amount,
        {{ quanyu.money('cast(costs_with_all.cost_amount as double) / nullif(people.sunk_visitors, 0)') }} as sink_cost
    from people
    cross join as_of
    left join costs_with_all
        on
            people.brand_id = costs_with_all.brand_id
            and people.channel = costs_with_all.channel
            and people.activity_month = costs_with_all.activity_month
)

select * from private_sink
order by brand_id, visit_month, public_channel
