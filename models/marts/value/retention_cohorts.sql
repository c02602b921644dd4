-- Grain: one row per brand, acquisition channel (`all` included), cohort month and month number.
-- Why: what the buyers of a month did in the months after, in people and in money on both bases.
-- Not here: months that are not over on the as-of date have a row, and NULL in every measure: not seen is not zero.
with acquisitions as (
    select * from {{ ref('int_value__acquisitions') }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

cohorts as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        count(*) as cohort_customers
    from acquisitions
    group by brand_id, acquisition_channel, cohort_month
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        count(*) as cohort_customers
    from acquisitions
    group by brand_id, cohort_month
),

spans as (
    select
        cohorts.brand_id,
        {{ dbt.datediff('min(cohorts.cohort_month)', 'max(as_of.as_of_date)', 'month') }} as last_month_number
    from cohorts
    cross join as_of
    group by cohorts.brand_id
),

numbers as (
    {{ quanyu.whole_numbers(0, var('cohort_months')) }}
),

-- Money before the cohort's month (an order later refunded in full) belongs to month 0.
activity as (
    select
        brand_id,
        customer_key,
        acquisition_channel,
        cohort_month,
        greatest(0, {{ dbt.datediff('cohort_month', 'flow_date', 'month') }}) as month_number,
        sum(order_count) as orders,
        sum(case when order_count > 0 then 1 else 0 end) as purchase_days,
        sum(order_date_amount) as order_date_amount,
        sum(refund_date_amount) as refund_date_amount
    from {{ ref('int_value__money_days') }}
    group by
        brand_id, customer_key, acquisition_channel, cohort_month,
        greatest(0, {{ dbt.datediff('cohort_month', 'flow_date', 'month') }})
),

second_days as (
    select
        brand_id,
        customer_key,
        flow_date as second_purchase_on
    from {{ ref('int_value__money_days') }}
    where order_count > 0
    qualify row_number() over (partition by brand_id, customer_key order by flow_date) = 2
),

repeats as (
    select
        acquisitions.brand_id,
        acquisitions.acquisition_channel,
        acquisitions.cohort_month,
        {{ dbt.datediff('acquisitions.cohort_month', 'second_days.second_purchase_on', 'month') }} as month_number,
        count(*) as new_repeat_customers
    from acquisitions
    inner join second_days
        on
            acquisitions.brand_id = second_days.brand_id
            and acquisitions.customer_key = second_days.customer_key
    group by
        acquisitions.brand_id, acquisitions.acquisition_channel, acquisitions.cohort_month,
        {{ dbt.datediff('acquisitions.cohort_month', 'second_days.second_purchase_on', 'month') }}
),

months as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        month_number,
        sum(case when purchase_days > 0 then 1 else 0 end) as buyers,
        sum(orders) as orders,
        sum(order_date_amount) as order_date_amount,
        sum(refund_date_amount) as refund_date_amount,
        0 as new_repeat_customers
    from activity
    group by brand_id, acquisition_channel, cohort_month, month_number
    union all
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        month_number,
        0 as buyers,
        0 as orders,
        0 as order_date_amount,
        0 as refund_date_amount,
        new_repeat_customers
    from repeats
),

with_all as (
    select * from months
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        month_number,
        buyers,
        orders,
        order_date_amount,
        refund_date_amount,
        new_repeat_customers
    from months
),

summed as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        month_number,
        sum(buyers) as buyers,
        sum(orders) as orders,
        sum(order_date_amount) as order_date_amount,
        sum(refund_date_amount) as refund_date_amount,
        sum(new_repeat_customers) as new_repeat_customers
    from with_all
    group by brand_id, acquisition_channel, cohort_month, month_number
),

cells as (
    select
        cohorts.brand_id,
        cohorts.acquisition_channel,
        cohorts.cohort_month,
        numbers.n as month_number,
        cohorts.cohort_customers,
        cast({{ dbt.last_day(dbt.dateadd('month', 'numbers.n', 'cohorts.cohort_month'), 'month') }} as date)
        <= as_of.as_of_date as is_observed,
        coalesce(summed.buyers, 0) as buyers,
        coalesce(summed.orders, 0) as orders,
        coalesce(summed.order_date_amount, 0) as order_date_amount,
        coalesce(summed.refund_date_amount, 0) as refund_date_amount,
        sum(coalesce(summed.new_repeat_customers, 0)) over so_far as repeat_customers,
        sum(coalesce(summed.order_date_amount, 0)) over so_far as cumulative_order_date_amount,
        sum(coalesce(summed.refund_date_amount, 0)) over so_far as cumulative_refund_date_amount
    from cohorts
    inner join spans on cohorts.brand_id = spans.brand_id
    inner join numbers on spans.last_month_number >= numbers.n
    cross join as_of
    left join summed
        on
            cohorts.brand_id = summed.brand_id
            and cohorts.acquisition_channel = summed.acquisition_channel
            and cohorts.cohort_month = summed.cohort_month
            and numbers.n = summed.month_number
    window so_far as (
        partition by cohorts.brand_id, cohorts.acquisition_channel, cohorts.cohort_month order by numbers.n
        rows between unbounded preceding and current row
    )
),

retention_cohorts as (
    select
        as_of.as_of_date,
        cast(cells.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(cells.acquisition_channel as {{ dbt.type_string() }}) as acquisition_channel,
        cells.cohort_month,
        cast(cells.month_number as integer) as month_number,
        cells.is_observed,
        cast(cells.cohort_customers as bigint) as cohort_customers,
        cast(case when cells.is_observed then cells.buyers end as bigint) as buyers,
        case when cells.is_observed then cast(cells.buyers as double) / cells.cohort_customers end
            as retention_rate,
        cast(case when cells.is_observed then cells.repeat_customers end as bigint) as repeat_customers,
        case when cells.is_observed then cast(cells.repeat_customers as double) / cells.cohort_customers end
            as repeat_rate,
        cast(case when cells.is_observed then cells.orders end as bigint) as orders,
        cast(case when cells.is_observed then cells.order_date_amount end as decimal(18, 4))
            as order_date_amount,
        cast(case when cells.is_observed then cells.refund_date_amount end as decimal(18, 4))
            as refund_date_amount,
        cast(case when cells.is_observed then cells.cumulative_order_date_amount end as decimal(18, 4))
            as cumulative_order_date_amount,
        cast(case when cells.is_observed then cells.cumulative_refund_date_amount end as decimal(18, 4))
            as cumulative_refund_date_amount,
        {{ quanyu.money(
            'case when cells.is_observed then cast(cells.cumulative_order_date_amount as double) / cells.cohort_customers end'
        ) }} as cumulative_amount_per_customer
    from cells
    cross join as_of
)

select * from retention_cohorts
order by brand_id, acquisition_channel, cohort_month, month_number
