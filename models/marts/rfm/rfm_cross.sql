-- Grain: one row per as-of date, brand, scope, grid, row value and column value that holds a customer.
-- Why: RFM two measures at a time, and the class online against the class offline.
-- Not here: cells without customers.
with customers as (
    select * from {{ ref('rfm_customers') }}
),

score_cells as (
    {%- for grid, row_score, column_score in [
        ('r_f', 'r_score', 'f_score'), ('r_m', 'r_score', 'm_score'), ('f_m', 'f_score', 'm_score')
    ] %}
    select
        as_of_date,
        is_as_of,
        brand_id,
        scope,
        '{{ grid }}' as grid,
        cast({{ row_score }} as {{ dbt.type_string() }}) as row_value,
        cast({{ column_score }} as {{ dbt.type_string() }}) as column_value,
        frequency,
        monetary_amount
    from customers
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Everybody who is scored at all; who bought in neither domain (channels unknown) is `none` twice.
domain_cells as (
    select
        everybody.as_of_date,
        everybody.is_as_of,
        everybody.brand_id,
        everybody.scope,
        'online_offline' as grid,
        coalesce(online.rfm_code, 'none') as row_value,
        coalesce(offline.rfm_code, 'none') as column_value,
        everybody.frequency,
        everybody.monetary_amount
    from customers as everybody
    left join customers as online
        on
            everybody.as_of_date = online.as_of_date
            and everybody.brand_id = online.brand_id
            and everybody.customer_id = online.customer_id
            and online.scope = 'online'
    left join customers as offline
        on
            everybody.as_of_date = offline.as_of_date
            and everybody.brand_id = offline.brand_id
            and everybody.customer_id = offline.customer_id
            and offline.scope = 'offline'
    where everybody.scope = 'all'
),

cells as (
    select * from score_cells
    union all
    select * from domain_cells
),

counted as (
    select
        as_of_date,
        is_as_of,
        brand_id,
        scope,
        grid,
        row_value,
        column_value,
        count(*) as customers,
        sum(frequency) as orders,
        sum(monetary_amount) as monetary_amount
    from cells
    group by as_of_date, is_as_of, brand_id, scope, grid, row_value, column_value
),

rfm_cross as (
    select
        as_of_date,
        is_as_of,
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(scope as {{ dbt.type_string() }}) as scope,
        cast(grid as {{ dbt.type_string() }}) as grid,
        cast(row_value as {{ dbt.type_string() }}) as row_value,
        cast(column_value as {{ dbt.type_string() }}) as column_value,
        cast(customers as bigint) as customers,
        cast(sum(customers) over population as bigint) as scored_customers,
        cast(customers as double) / sum(customers) over population as customer_rate,
        cast(orders as bigint) as orders,
        cast(monetary_amount as decimal(18, 4)) as monetary_amount,
        {{ quanyu.money('cast(monetary_amount as double) / customers') }} as amount_per_customer
    from counted
    window population as (partition by as_of_date, brand_id, scope, grid)
)

select * from rfm_cross
order by as_of_date, brand_id, scope, grid, row_value, column_value
