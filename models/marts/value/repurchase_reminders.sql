-- Grain: one row per brand, customer and category that is due for repurchase on the as-of date.
-- Why: the list for the person who looks after the customer, with who to leave alone, and why.
-- Not here: categories that are not due; who is long overdue (churn_warnings).
with due as (
    select * from {{ ref('int_value__person_cycles') }}
    where observation = 'as_of' and category <> '*' and is_due
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    {{ quanyu.counted_customers() }}
),

last_purchases as (
    select
        brand_id,
        customer_key,
        last_purchase_on
    from {{ ref('int_value__person_cycles') }}
    where observation = 'as_of' and category = '*'
),

last_refunds as (
    select
        brand_id,
        customer_key,
        max(refunded_on) as last_refunded_on
    from {{ ref('fct_refunds') }}
    where customer_key is not null
    group by brand_id, customer_key
),

last_reminders as (
    select
        brand_id,
        customer_key,
        max(sent_on) as last_reminded_on
    from {{ ref('int_value__reminder_messages') }}
    where not is_control
    group by brand_id, customer_key
),

values_of_customers as (
    select
        brand_id,
        customer_id,
        clv_decile,
        is_high_value
    from {{ ref('clv_customers') }}
),

repurchase_reminders as (
    select
        as_of.as_of_date,
        cast(due.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(identities.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(due.category as {{ dbt.type_string() }}) as category,
        due.last_purchase_on,
        cast(due.purchase_days as integer) as purchase_days,
        cast(round(due.expected_cycle_days, 4) as double) as expected_cycle_days,
        cast(due.due_on as date) as due_on,
        cast(due.lead_days as integer) as lead_days,
        cast(reach.owner_id as {{ dbt.type_string() }}) as owner_id,
        cast(reach.owner_source as {{ dbt.type_string() }}) as owner_source,
        cast(reach.reachable_channels as {{ dbt.type_string() }}) as reachable_channels,
        values_of_customers.is_high_value,
        last_refunds.last_refunded_on,
        last_reminders.last_reminded_on,
        -- The first reason that holds; due dates move on their own after an order of the category itself.
        cast(case
            when {{ quanyu.days_between('last_purchases.last_purchase_on', 'as_of.as_of_date') }} < due.lead_days
                then 'recent order'
            when
                last_refunds.last_refunded_on >= due.last_purchase_on
                and {{ quanyu.days_between('last_refunds.last_refunded_on', 'as_of.as_of_date') }}
                < {{ var('reminder_refund_days') }}
                then 'recent refund'
            when
                {{ quanyu.days_between('last_reminders.last_reminded_on', 'as_of.as_of_date') }}
                < due.expected_cycle_days / 2
                then 'recent reminder'
        end as {{ dbt.type_string() }}) as suppressed_reason
    from due
    inner join identities on due.customer_key = identities.customer_key
    inner join last_purchases
        on due.brand_id = last_purchases.brand_id and due.customer_key = last_purchases.customer_key
    cross join as_of
    left join {{ ref('int_value__reach') }} as reach
        on due.brand_id = reach.brand_id and due.customer_key = reach.customer_key
    left join last_refunds
        on due.brand_id = last_refunds.brand_id and due.customer_key = last_refunds.customer_key
    left join last_reminders
        on due.brand_id = last_reminders.brand_id and due.customer_key = last_reminders.customer_key
    left join values_of_customers
        on
            due.brand_id = values_of_customers.brand_id
            and identities.customer_id = values_of_customers.customer_id
)

select * from repurchase_reminders
order by brand_id, customer_id, category
