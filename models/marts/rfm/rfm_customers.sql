-- Grain: one row per as-of date, brand, scope (all, online, offline) and customer with a valid purchase in the window.
-- Why: recency, frequency and money of every buyer, scored without ever cutting a tie, and the class they make.
-- Not here: buyers whose last valid purchase is older than the window; they would distort the means.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    select distinct
        customer_key,
        customer_id
    from {{ ref('int_identity__customer_map') }}
    {% if not var('count_anonymous_visitors') %}
    where not is_anonymous_visitor
    {% endif %}
),

window_starts as (
    select
        as_of_date,
        {{ quanyu.add_days('as_of_date', -var('rfm_window_days')) }} as window_start
    from as_of
),

purchases as (
    select
        window_starts.as_of_date,
        orders.brand_id,
        orders.customer_key,
        orders.channel_domain,
        orders.purchased_on,
        orders.net_amount
    from {{ ref('fct_orders') }} as orders
    inner join window_starts on orders.purchased_on > window_starts.window_start
    where orders.is_valid_purchase and orders.customer_key is not null
),

scoped_purchases as (
    select
        *,
        'all' as scope
    from purchases
    union all
    select
        *,
        'online' as scope
    from purchases
    where channel_domain in ('public', 'private')
    union all
    select
        *,
        'offline' as scope
    from purchases
    where channel_domain = 'offline'
),

-- A refund without an order has no channel, so it lowers the money of the scope `all` alone.
unlinked_refunds as (
    select
        refunds.brand_id,
        refunds.customer_key,
        'all' as scope,
        sum(refunds.refund_amount) as refund_amount
    from {{ ref('fct_refunds') }} as refunds
    inner join window_starts on refunds.refunded_on > window_starts.window_start
    where not refunds.is_linked and refunds.customer_key is not null
    group by refunds.brand_id, refunds.customer_key
),

measured as (
    select
        as_of_date,
        brand_id,
        scope,
        customer_key,
        max(purchased_on) as last_purchase_on,
        {{ quanyu.days_between('max(purchased_on)', 'as_of_date') }} as recency_days,
        count(*) as frequency,
        sum(net_amount) as net_amount
    from scoped_purchases
    group by as_of_date, brand_id, scope, customer_key
),

netted as (
    select
        measured.as_of_date,
        measured.brand_id,
        measured.scope,
        measured.customer_key,
        measured.last_purchase_on,
        measured.recency_days,
        measured.frequency,
        measured.net_amount - coalesce(unlinked_refunds.refund_amount, 0) as monetary_amount
    from measured
    left join unlinked_refunds
        on
            measured.brand_id = unlinked_refunds.brand_id
            and measured.scope = unlinked_refunds.scope
            and measured.customer_key = unlinked_refunds.customer_key
),

brand_breakpoints as (
    {{ quanyu.rfm_brand_breakpoints('netted') }}
),

scored as (
    select
        netted.*,
        {{ quanyu.rfm_score('recency', 'recency_days', 'desc') }} as r_score,
        {{ quanyu.rfm_score('frequency', 'frequency', 'asc') }} as f_score,
        {{ quanyu.rfm_score('monetary', 'monetary_amount', 'asc') }} as m_score
    from netted
    {{ quanyu.rfm_breakpoint_join('recency', 'recency_days') }}
    {{ quanyu.rfm_breakpoint_join('frequency', 'frequency') }}
    {{ quanyu.rfm_breakpoint_join('monetary', 'monetary_amount') }}
),

-- High means at or above the mean score of the brand and scope; compared in whole numbers, so that a mean
-- which equals the score is never missed by a rounding.
rated as (
    select
        *,
        r_score * count(*) over peers >= sum(r_score) over peers as is_r_high,
        f_score * count(*) over peers >= sum(f_score) over peers as is_f_high,
        m_score * count(*) over peers >= sum(m_score) over peers as is_m_high
    from scored
    window peers as (partition by as_of_date, brand_id, scope)
),

coded as (
    select
        *,
        concat(
            case when is_r_high then '1' else '0' end,
            case when is_f_high then '1' else '0' end,
            case when is_m_high then '1' else '0' end
        ) as rfm_code
    from rated
),

rfm_customers as (
    select
        coded.as_of_date,
        cast(coded.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(coded.scope as {{ dbt.type_string() }}) as scope,
        cast(customers.customer_id as {{ dbt.type_string() }}) as customer_id,
        coded.last_purchase_on,
        cast(coded.recency_days as integer) as recency_days,
        cast(coded.frequency as integer) as frequency,
        cast(coded.monetary_amount as decimal(18, 4)) as monetary_amount,
        cast(coded.r_score as integer) as r_score,
        cast(coded.f_score as integer) as f_score,
        cast(coded.m_score as integer) as m_score,
        coded.is_r_high,
        coded.is_f_high,
        coded.is_m_high,
        cast(coded.rfm_code as {{ dbt.type_string() }}) as rfm_code,
        cast(classes.rfm_class as {{ dbt.type_string() }}) as rfm_class,
        cast(classes.rfm_class_en as {{ dbt.type_string() }}) as rfm_class_en,
        cast('{{ var("rfm_scheme") }}' as {{ dbt.type_string() }}) as rfm_scheme
    from coded
    inner join customers on coded.customer_key = customers.customer_key
    left join {{ ref('rfm_classes') }} as classes on coded.rfm_code = classes.rfm_code
)

select * from rfm_customers
order by as_of_date, brand_id, scope, customer_id
