-- Grain: one row per brand, customer of a cohort and day with money, in or out.
-- Why: both bases of money side by side: by order date (an order less its own refunds) and by refund date.
-- Not here: anonymous orders; customers without a valid purchase.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with acquisitions as (
    select * from {{ ref('int_value__acquisitions') }}
),

flows as (
    select
        brand_id,
        customer_key,
        valid_from as flow_date,
        case when is_valid_purchase then 1 else 0 end as order_count,
        case when is_valid_purchase then net_amount else 0 end as order_date_amount,
        paid_amount as refund_date_amount
    from {{ ref('fct_orders') }}
    where valid_from <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
    union all
    -- A refund without an order lowers its day on both bases: there is no order to lower. The money of an order that
    -- never counted (cancelled, and paid back) never came in, and its refund takes nothing out.
    select
        refunds.brand_id,
        refunds.customer_key,
        refunds.refunded_on as flow_date,
        0 as order_count,
        case when refunds.is_linked then 0 else -refunds.refund_amount end as order_date_amount,
        -refunds.refund_amount as refund_date_amount
    from {{ ref('fct_refunds') }} as refunds
    left join {{ ref('fct_orders') }} as orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
    where
        not refunds.is_linked
        or orders.valid_from <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

int_value__money_days as (
    select
        flows.brand_id,
        flows.customer_key,
        acquisitions.cohort_month,
        acquisitions.acquisition_channel,
        acquisitions.first_purchase_on,
        flows.flow_date,
        sum(flows.order_count) as order_count,
        cast(sum(flows.order_date_amount) as decimal(18, 4)) as order_date_amount,
        cast(sum(flows.refund_date_amount) as decimal(18, 4)) as refund_date_amount
    from flows
    inner join acquisitions
        on flows.brand_id = acquisitions.brand_id and flows.customer_key = acquisitions.customer_key
    group by
        flows.brand_id, flows.customer_key, acquisitions.cohort_month, acquisitions.acquisition_channel,
        acquisitions.first_purchase_on, flows.flow_date
)

select * from int_value__money_days
