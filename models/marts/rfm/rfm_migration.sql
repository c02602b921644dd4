-- Grain: one row per brand, scope, period, from_date, from_code and to_code that holds a customer.
-- Why: who moved from which class to which, and how many of a class bought again, with the class fixed before it.
-- Not here: days that are no month end, other than the as-of date.
with customers as (
    select
        as_of_date,
        brand_id,
        scope,
        customer_id,
        last_purchase_on,
        rfm_code
    from {{ ref('rfm_customers') }}
),

observations as (
    select * from {{ ref('int_rfm__observation_dates') }}
),

-- A period that ends on the as-of date within a month is shorter than the others and says so.
periods as (
    select
        later.observation_date as to_date,
        case
            when not later.is_month_end then 'month_to_date'
            when {{ dbt.datediff('earlier.observation_date', 'later.observation_date', 'month') }} = 1 then 'month'
            else 'quarter'
        end as period,
        earlier.observation_date as from_date
    from observations as later
    inner join observations as earlier on later.observation_date > earlier.observation_date
    where
        earlier.is_month_end
        and (
            {{ dbt.datediff('earlier.observation_date', 'later.observation_date', 'month') }} = 1
            or (
                later.is_month_end
                and {{ dbt.datediff('earlier.observation_date', 'later.observation_date', 'month') }} = 3
            )
        )
),

before as (
    select
        periods.period,
        periods.from_date,
        periods.to_date,
        customers.brand_id,
        customers.scope,
        customers.customer_id,
        customers.rfm_code
    from customers
    inner join periods on customers.as_of_date = periods.from_date
),

after as (
    select
        periods.period,
        periods.from_date,
        periods.to_date,
        customers.brand_id,
        customers.scope,
        customers.customer_id,
        customers.rfm_code,
        customers.last_purchase_on > periods.from_date as has_bought
    from customers
    inner join periods on customers.as_of_date = periods.to_date
),

moved as (
    select
        coalesce(before.brand_id, after.brand_id) as brand_id,
        coalesce(before.scope, after.scope) as scope,
        coalesce(before.period, after.period) as period,
        coalesce(before.from_date, after.from_date) as from_date,
        coalesce(before.to_date, after.to_date) as to_date,
        coalesce(before.rfm_code, 'none') as from_code,
        coalesce(after.rfm_code, 'none') as to_code,
        coalesce(after.has_bought, false) as has_bought
    from before
    full outer join after
        on
            before.period = after.period
            and before.from_date = after.from_date
            and before.to_date = after.to_date
            and before.brand_id = after.brand_id
            and before.scope = after.scope
            and before.customer_id = after.customer_id
),

counted as (
    select
        brand_id,
        scope,
        period,
        from_date,
        to_date,
        from_code,
        to_code,
        count(*) as customers,
        sum(case when has_bought then 1 else 0 end) as buyers
    from moved
    group by brand_id, scope, period, from_date, to_date, from_code, to_code
),

rfm_migration as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(scope as {{ dbt.type_string() }}) as scope,
        cast(period as {{ dbt.type_string() }}) as period,
        from_date,
        to_date,
        cast(from_code as {{ dbt.type_string() }}) as from_code,
        cast(to_code as {{ dbt.type_string() }}) as to_code,
        cast(customers as bigint) as customers,
        cast(sum(customers) over from_class as bigint) as from_customers,
        cast(customers as double) / sum(customers) over from_class as migration_rate,
        cast(buyers as bigint) as buyers,
        cast(sum(buyers) over from_class as bigint) as from_buyers,
        -- Somebody outside every class is not a known number of people: no base, no rate.
        case
            when from_code <> 'none'
                then cast(sum(buyers) over from_class as double) / sum(customers) over from_class
        end as class_repurchase_rate
    from counted
    window from_class as (partition by brand_id, scope, period, from_date, from_code)
)

select * from rfm_migration
order by brand_id, scope, period, from_date, from_code, to_code
