-- Grain: one row per brand and customer in the band warning or churned on the as-of date.
-- Why: who is leaving, what they are worth, who looks after them and how they can still be reached.
-- Not here: buyers on time or just due; relationships that ended (an unfollow is not a purchase not made).
with people as (
    select * from {{ ref('int_value__person_cycles') }}
    where observation = 'as_of' and category = '*' and band in ('warning', 'churned')
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    {{ quanyu.counted_customers() }}
),

worth as (
    select * from {{ ref('clv_customers') }}
),

churn_warnings as (
    select
        as_of.as_of_date,
        cast(people.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(identities.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(people.band as {{ dbt.type_string() }}) as band,
        people.last_purchase_on,
        cast(people.days_since_last as integer) as days_since_last_purchase,
        cast(people.purchase_days as integer) as purchase_days,
        cast(round(people.expected_cycle_days, 4) as double) as expected_cycle_days,
        cast(round(people.overdue_ratio, 4) as double) as overdue_ratio,
        cast({{ quanyu.churned_on(
            'people.last_purchase_on', 'people.expected_cycle_days', var('churn_warning_ratio')
        ) }} as date) as warned_on,
        worth.p_alive,
        worth.historical_value,
        worth.clv,
        worth.clv_decile,
        worth.is_high_value,
        cast(reach.owner_id as {{ dbt.type_string() }}) as owner_id,
        cast(reach.owner_source as {{ dbt.type_string() }}) as owner_source,
        cast(reach.reachable_channels as {{ dbt.type_string() }}) as reachable_channels
    from people
    inner join identities on people.customer_key = identities.customer_key
    cross join as_of
    left join worth on people.brand_id = worth.brand_id and identities.customer_id = worth.customer_id
    left join {{ ref('int_value__reach') }} as reach
        on people.brand_id = reach.brand_id and people.customer_key = reach.customer_key
)

select * from churn_warnings
order by brand_id, customer_id
