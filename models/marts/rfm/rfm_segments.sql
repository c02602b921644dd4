-- Grain: one row per as-of date, brand, scope and RFM class.
-- Why: how many customers each class holds, what they are worth, and what to do with them.
-- Not here: buyers outside the window (rfm_customers has none of them); movement between classes (rfm_migration).
with customers as (
    select * from {{ ref('rfm_customers') }}
),

classes as (
    select * from {{ ref('rfm_classes') }}
),

populations as (
    select
        as_of_date,
        is_as_of,
        brand_id,
        scope,
        count(*) as scored_customers,
        sum(monetary_amount) as total_monetary_amount
    from customers
    group by as_of_date, is_as_of, brand_id, scope
),

members as (
    select
        as_of_date,
        brand_id,
        scope,
        rfm_code,
        count(*) as customers,
        sum(monetary_amount) as monetary_amount,
        sum(frequency) as orders,
        sum(recency_days) as recency_days
    from customers
    group by as_of_date, brand_id, scope, rfm_code
),

rfm_segments as (
    select
        populations.as_of_date,
        populations.is_as_of,
        cast(populations.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(populations.scope as {{ dbt.type_string() }}) as scope,
        cast(classes.rfm_code as {{ dbt.type_string() }}) as rfm_code,
        cast(classes.rfm_class as {{ dbt.type_string() }}) as rfm_class,
        cast(classes.rfm_class_en as {{ dbt.type_string() }}) as rfm_class_en,
        cast(classes.strategy_zh as {{ dbt.type_string() }}) as strategy_zh,
        cast(classes.strategy_en as {{ dbt.type_string() }}) as strategy_en,
        cast(coalesce(members.customers, 0) as bigint) as customers,
        cast(populations.scored_customers as bigint) as scored_customers,
        cast(coalesce(members.customers, 0) as double) / populations.scored_customers as customer_rate,
        cast(coalesce(members.monetary_amount, 0) as decimal(18, 4)) as monetary_amount,
        cast(populations.total_monetary_amount as decimal(18, 4)) as total_monetary_amount,
        cast(coalesce(members.monetary_amount, 0) as double)
        / nullif(cast(populations.total_monetary_amount as double), 0) as monetary_rate,
        cast(coalesce(members.orders, 0) as bigint) as orders,
        {{ quanyu.money('cast(members.monetary_amount as double) / members.customers') }}
            as amount_per_customer,
        cast(members.orders as double) / members.customers as orders_per_customer,
        cast(members.recency_days as double) / members.customers as mean_recency_days
    from populations
    cross join classes
    left join members
        on
            populations.as_of_date = members.as_of_date
            and populations.brand_id = members.brand_id
            and populations.scope = members.scope
            and classes.rfm_code = members.rfm_code
)

select * from rfm_segments
order by as_of_date, brand_id, scope, rfm_code
