-- Grain: one row per brand and customer with a valid purchase.
-- Why: what each customer was worth and is expected to be worth, and which of the two to go by.
-- Not here: customers who never bought; anonymous orders.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    {{ quanyu.counted_customers() }}
),

gate as (
    select * from {{ ref('int_clv__gate') }}
),

unlinked_refunds as (
    select
        brand_id,
        customer_key,
        sum(refund_amount) as refund_amount
    from {{ ref('fct_refunds') }}
    where not is_linked and customer_key is not null
    group by brand_id, customer_key
),

-- Filtered here and not in the join: a condition on the left side of a left join costs DuckDB the hash join.
predictions as (
    select predictions.*
    from {{ ref('int_clv__predictions') }} as predictions
    inner join gate on predictions.brand_id = gate.brand_id
    where gate.is_model_used and predictions.fit_name = 'as_of'
),

valued as (
    select
        customers.*,
        gate.is_model_used,
        gate.not_used_reason,
        predictions.p_alive,
        {%- for days in [30, 90, 180, 365] %}
        predictions.expected_orders_{{ days }}d,
        {%- endfor %}
        predictions.expected_order_value,
        predictions.expected_value_365d,
        predictions.discounted_value,
        cast(
            (customers.net_amount - coalesce(unlinked_refunds.refund_amount, 0)) * {{ var('clv_margin_rate') }}
            as decimal(18, 4)
        ) as historical_value
    from {{ ref('int_clv__customers') }} as customers
    inner join gate on customers.brand_id = gate.brand_id
    left join unlinked_refunds
        on customers.brand_id = unlinked_refunds.brand_id and customers.customer_key = unlinked_refunds.customer_key
    left join predictions
        on customers.brand_id = predictions.brand_id and customers.customer_key = predictions.customer_key
    where customers.fit_name = 'as_of'
),

chosen as (
    select
        *,
        case when is_model_used then {{ quanyu.money('discounted_value') }} else historical_value end as clv
    from valued
),

ranked as (
    select
        *,
        percent_rank() over (partition by brand_id order by clv) as clv_percentile
    from chosen
),

clv_customers as (
    select
        as_of.as_of_date,
        cast(ranked.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(identities.customer_id as {{ dbt.type_string() }}) as customer_id,
        ranked.first_purchase_on,
        ranked.last_purchase_on,
        cast(ranked.order_count as integer) as purchase_count,
        cast(ranked.bg_frequency as integer) as bg_frequency,
        cast(ranked.bg_recency as integer) as bg_recency,
        cast(ranked.bg_age as integer) as bg_age,
        {{ quanyu.money('cast(ranked.repeat_amount as double) / nullif(ranked.bg_frequency, 0)') }}
            as mean_repeat_amount,
        ranked.historical_value,
        cast(ranked.p_alive as double) as p_alive,
        {%- for days in [30, 90, 180, 365] %}
        cast(ranked.expected_orders_{{ days }}d as double) as expected_orders_{{ days }}d,
        {%- endfor %}
        {{ quanyu.money('ranked.expected_order_value') }} as expected_order_value,
        {{ quanyu.money('ranked.expected_value_365d') }} as expected_value_365d,
        {{ quanyu.money('ranked.discounted_value') }} as discounted_clv,
        ranked.is_model_used,
        cast(ranked.not_used_reason as {{ dbt.type_string() }}) as not_used_reason,
        ranked.clv,
        cast(ranked.clv_percentile as double) as clv_percentile,
        -- Not 10 * (1 - percentile): 1 - 0.9 is a little less than 0.1, which moves who stands at the bound up a tenth.
        cast(1 + floor(least(9, 10 - 10 * ranked.clv_percentile)) as integer) as clv_decile,
        ranked.clv_percentile >= 1 - {{ var('clv_high_value_share') }} as is_high_value
    from ranked
    inner join identities on ranked.customer_key = identities.customer_key
    cross join as_of
)

select * from clv_customers
order by brand_id, customer_id
