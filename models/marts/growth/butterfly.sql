-- Grain: one row per brand, wing (left, right), cohort month and step.
-- Why: the butterfly (蝴蝶型): AARRR split at the first purchase. The left wing wins customers, the right one keeps and
--      multiplies them; both meet in `first_purchase`.
-- Not here: anonymous visitors. A step holds only those who passed the one before; the left wing is counted to date.
{%- set steps = {
    'left': ['met', 'visited', 'connected', 'first_purchase'],
    'right': ['first_purchase', 'retained', 'repurchased', 'expanded', 'referred'],
} %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
    where channel = 'all'
),

days as (
    select
        scopes.brand_id,
        days.customer_key,
        days.activity_date,
        days.first_activity_date,
        days.is_visit,
        days.active_count - days.order_count as touch_count,
        days.order_count
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key
    where days.is_counted
),

acquisitions as (
    select * from {{ ref('int_value__acquisitions') }}
),

connections as (
    select
        brand_id,
        customer_key,
        min(connected_on) as connected_on
    from (
        select
            brand_id,
            customer_key,
            registered_on as connected_on
        from {{ ref('int_growth__registrations') }}
        union all
        select
            brand_id,
            customer_key,
            valid_from as connected_on
        from {{ ref('int_private__reach_spells') }}
        where reach_channel = 'any'
    ) as starts
    group by brand_id, customer_key
),

-- A day of acts lies on the left wing up to the first purchase, and on the right one after it.
people as (
    select
        days.brand_id,
        days.customer_key,
        min(days.first_activity_date) as met_on,
        min(case when days.is_visit then days.activity_date end) as visited_on,
        min(acquisitions.first_purchase_on) as purchased_on,
        min(connections.connected_on) as connected_on,
        sum(case
            when acquisitions.first_purchase_on is null or days.activity_date <= acquisitions.first_purchase_on
                then days.touch_count
            else 0
        end) as touches_before,
        sum(case
            when
                days.activity_date > acquisitions.first_purchase_on
                and days.activity_date <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
                then days.touch_count
            else 0
        end) as touches_after,
        max(case
            when
                days.activity_date > acquisitions.first_purchase_on
                and days.activity_date <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
                then 1
            else 0
        end) as is_retained,
        max(case
            when
                days.order_count > 0
                and days.activity_date > acquisitions.first_purchase_on
                and days.activity_date <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
                then 1
            else 0
        end) as is_repurchased
    from days
    left join acquisitions
        on days.brand_id = acquisitions.brand_id and days.customer_key = acquisitions.customer_key
    left join connections
        on days.brand_id = connections.brand_id and days.customer_key = connections.customer_key
    group by days.brand_id, days.customer_key
),

money as (
    select
        acquisitions.brand_id,
        acquisitions.customer_key,
        sum(case
            when purchases.purchased_on = acquisitions.first_purchase_on then purchases.net_amount else 0
        end) as first_amount,
        sum(case
            when
                purchases.purchased_on > acquisitions.first_purchase_on
                and purchases.purchased_on
                <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
                then purchases.net_amount
            else 0
        end) as later_amount
    from acquisitions
    inner join {{ ref('int_value__purchase_days') }} as purchases
        on
            acquisitions.brand_id = purchases.brand_id
            and acquisitions.customer_key = purchases.customer_key
            and purchases.observation = 'as_of'
    group by acquisitions.brand_id, acquisitions.customer_key
),

category_days as (
    select
        brand_id,
        customer_key,
        category,
        min(purchased_on) as first_on
    from {{ ref('fct_order_lines') }}
    where is_valid_purchase and customer_key is not null and category is not null
    group by brand_id, customer_key, category
),

expansions as (
    select
        acquisitions.brand_id,
        acquisitions.customer_key
    from acquisitions
    inner join category_days
        on
            acquisitions.brand_id = category_days.brand_id
            and acquisitions.customer_key = category_days.customer_key
            and acquisitions.first_purchase_on < category_days.first_on
            and category_days.first_on
            <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
    group by acquisitions.brand_id, acquisitions.customer_key
),

recommendations as (
    select
        acquisitions.brand_id,
        acquisitions.customer_key
    from acquisitions
    inner join {{ ref('int_growth__referrals') }} as referrals
        on
            acquisitions.brand_id = referrals.brand_id
            and acquisitions.customer_key = referrals.inviter_key
            and acquisitions.first_purchase_on <= referrals.accepted_on
            and referrals.accepted_on
            <= {{ quanyu.add_days('acquisitions.first_purchase_on', var('butterfly_days')) }}
    group by acquisitions.brand_id, acquisitions.customer_key
),

wings as (
    select
        people.brand_id,
        'left' as wing,
        cast({{ dbt.date_trunc('month', 'people.met_on') }} as date) as cohort_month,
        1 as step_1,
        case when people.visited_on is not null then 1 else 0 end as step_2,
        case when people.visited_on is not null and people.connected_on is not null then 1 else 0 end as step_3,
        case
            when people.visited_on is not null and people.connected_on is not null and people.purchased_on is not null
                then 1
            else 0
        end as step_4,
        0 as step_5,
        people.touches_before as touch_count,
        coalesce(money.first_amount, 0) as net_amount,
        1 as is_observed
    from people
    left join money on people.brand_id = money.brand_id and people.customer_key = money.customer_key
    union all
    select
        people.brand_id,
        'right' as wing,
        cast({{ dbt.date_trunc('month', 'people.purchased_on') }} as date) as cohort_month,
        1 as step_1,
        people.is_retained as step_2,
        people.is_repurchased as step_3,
        case when people.is_repurchased = 1 and expansions.customer_key is not null then 1 else 0 end as step_4,
        case
            when
                people.is_repurchased = 1
                and expansions.customer_key is not null
                and recommendations.customer_key is not null
                then 1
            else 0
        end as step_5,
        people.touches_after as touch_count,
        coalesce(money.later_amount, 0) as net_amount,
        case
            when {{ quanyu.add_days('people.purchased_on', var('butterfly_days')) }} <= as_of.as_of_date then 1
            else 0
        end as is_observed
    from people
    cross join as_of
    left join money on people.brand_id = money.brand_id and people.customer_key = money.customer_key
    left join expansions
        on people.brand_id = expansions.brand_id and people.customer_key = expansions.customer_key
    left join recommendations
        on people.brand_id = recommendations.brand_id and people.customer_key = recommendations.customer_key
    where people.purchased_on is not null
),

cohorts as (
    select
        brand_id,
        wing,
        cohort_month,
        min(is_observed) as is_observed,
        {%- for n in range(1, 6) %}
        sum(step_{{ n }}) as step_{{ n }},
        {%- endfor %}
        sum(touch_count) as touch_count,
        sum(net_amount) as net_amount
    from wings
    group by brand_id, wing, cohort_month
),

stepped as (
    {%- for wing, names in steps.items() %}
    {%- for name in names %}
    select
        brand_id,
        wing,
        cohort_month,
        {{ loop.index }} as step_number,
        '{{ name }}' as step,
        step_{{ loop.index }} as customers,
        {{ 'step_' ~ (loop.index - 1) if not loop.first else 'cast(null as bigint)' }} as previous_customers,
        touch_count,
        net_amount,
        is_observed as is_wing_observed,
        {{ '1' if loop.first else 'is_observed' }} as is_observed
    from cohorts
    where wing = '{{ wing }}'
    {{ 'union all' if not (wing == 'right' and loop.last) }}
    {%- endfor %}
    {%- endfor %}
),

butterfly as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(wing as {{ dbt.type_string() }}) as wing,
        cohort_month,
        cast(step_number as integer) as step_number,
        cast(step as {{ dbt.type_string() }}) as step,
        is_observed = 1 as is_observed,
        cast(case when is_observed = 1 then customers end as bigint) as customers,
        cast(case when is_observed = 1 then previous_customers end as bigint) as previous_customers,
        case when is_observed = 1 then cast(customers as double) / nullif(previous_customers, 0) end as step_rate,
        cast(case when is_wing_observed = 1 then touch_count end as bigint) as wing_touchpoints,
        cast(case when is_wing_observed = 1 then net_amount end as decimal(18, 4)) as wing_net_amount
    from stepped
)

select * from butterfly
order by brand_id, wing, cohort_month, step_number
