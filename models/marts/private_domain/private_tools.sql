-- Grain: one row per brand and combination of the four tools (WeCom, mini-program, live, group) that somebody uses.
-- Why: the four-piece set (私域四件套): who uses what together, and what each combination spends.
-- Not here: what a tool alone sold; combinations of nobody. Rows add up: every customer has one combination.
with customers as (
    select
        *,
        concat(
            case when uses_wecom then 'W' else '-' end,
            case when uses_miniprogram then 'M' else '-' end,
            case when uses_live then 'L' else '-' end,
            case when uses_group then 'G' else '-' end
        ) as combination
    from {{ ref('private_customers') }}
),

counted as (
    select
        brand_id,
        combination,
        min(as_of_date) as as_of_date,
        max(tool_count) as tool_count,
        count(*) as customers,
        sum(case when orders_in_window > 0 then 1 else 0 end) as buyers,
        sum(orders_in_window) as orders,
        sum(net_amount_in_window) as net_amount
    from customers
    group by brand_id, combination
),

shared as (
    select
        *,
        sum(customers) over (partition by brand_id) as all_customers,
        sum(net_amount) over (partition by brand_id) as all_net_amount
    from counted
),

private_tools as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(combination as {{ dbt.type_string() }}) as combination,
        as_of_date,
        combination like 'W%' as has_wecom,
        combination like '_M%' as has_miniprogram,
        combination like '__L%' as has_live,
        combination like '___G' as has_group,
        cast(tool_count as integer) as tool_count,
        cast(customers as bigint) as customers,
        cast(customers as double) / all_customers as customer_share,
        cast(buyers as bigint) as buyers,
        cast(buyers as double) / customers as buyer_rate,
        cast(orders as bigint) as orders,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(net_amount as double) / nullif(cast(all_net_amount as double), 0) as amount_share,
        {{ quanyu.money('cast(net_amount as double) / customers') }} as amount_per_customer
    from shared
)

select * from private_tools
order by brand_id, combination
