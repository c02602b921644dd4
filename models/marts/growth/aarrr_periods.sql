-- Grain: one row per brand, period kind (month, quarter), period and channel (`all` included) up to the as-of date.
-- Why: what a day is too short for: people of a month, repurchase (复购率) and buy-back (回购率), cost of acquisition.
-- Not here: value of cohorts (unit_economics), incremental money and ROI of campaigns (campaign_loops).
-- People are recounted per period; a period that still runs is looked at up to the as-of date.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

days as (
    select * from {{ ref('int_growth__channel_days') }}
),

periods as (
    select distinct
        brand_id,
        'month' as period_kind,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as period_start
    from {{ ref('int_stages__calendar') }}
    union all
    select distinct
        brand_id,
        'quarter' as period_kind,
        cast({{ dbt.date_trunc('quarter', 'as_of_date') }} as date) as period_start
    from {{ ref('int_stages__calendar') }}
),

-- A customer counts on the last active day in the period: the one whose next one lies beyond it; a visitor on the first day
-- with a visit.
acted as (
    {%- for kind in ['month', 'quarter'] %}
    select
        '{{ kind }}' as period_kind,
        cast({{ dbt.date_trunc(kind, 'activity_date') }} as date) as period_start,
        scope_key,
        sum(case when is_counted then 1 else 0 end) as active_user_days,
        sum(case
            when
                is_counted
                and (
                    next_activity_date is null
                    or cast({{ dbt.date_trunc(kind, 'next_activity_date') }} as date)
                    > cast({{ dbt.date_trunc(kind, 'activity_date') }} as date)
                )
                then 1
            else 0
        end) as active_users,
        sum(case
            when
                is_visit
                and (
                    previous_visit_date is null
                    or previous_visit_date < cast({{ dbt.date_trunc(kind, 'activity_date') }} as date)
                )
                then 1
            else 0
        end) as visitors
    from days
    group by cast({{ dbt.date_trunc(kind, 'activity_date') }} as date), scope_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

people as (
    {%- for kind in ['month', 'quarter'] %}
    select
        '{{ kind }}' as period_kind,
        cast({{ dbt.date_trunc(kind, 'activity_date') }} as date) as period_start,
        scope_key,
        customer_key,
        count(*) as purchase_days,
        sum(order_count) as order_count
    from days
    where order_count > 0 and is_counted
    group by cast({{ dbt.date_trunc(kind, 'activity_date') }} as date), scope_key, customer_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

bought as (
    select
        period_kind,
        period_start,
        scope_key,
        count(*) as buyers,
        sum(order_count) as buyer_orders,
        sum(case when purchase_days > 1 then 1 else 0 end) as repeat_buyers,
        sum(case when order_count > 1 then 1 else 0 end) as repeat_buyers_by_order
    from people
    group by period_kind, period_start, scope_key
),

-- Buy-back: of the buyers of the period before, those who bought in this one.
buy_back as (
    select
        before.period_kind,
        cast(case before.period_kind
            when 'month' then {{ dbt.dateadd('month', 1, 'before.period_start') }}
            else {{ dbt.dateadd('month', 3, 'before.period_start') }}
        end as date) as period_start,
        before.scope_key,
        count(*) as previous_buyers,
        count(returned.customer_key) as returned_buyers
    from people as before
    left join people as returned
        on
            before.period_kind = returned.period_kind
            and before.scope_key = returned.scope_key
            and before.customer_key = returned.customer_key
            and cast(case before.period_kind
                when 'month' then {{ dbt.dateadd('month', 1, 'before.period_start') }}
                else {{ dbt.dateadd('month', 3, 'before.period_start') }}
            end as date) = returned.period_start
    group by
        before.period_kind, before.scope_key,
        cast(case before.period_kind
            when 'month' then {{ dbt.dateadd('month', 1, 'before.period_start') }}
            else {{ dbt.dateadd('month', 3, 'before.period_start') }}
        end as date)
),

-- An order is a repeat order unless it is of its customer's first purchase day.
repeat_order_rows as (
    select
        days.scope_key,
        days.activity_date as on_date,
        days.order_count
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key
    inner join {{ ref('int_value__acquisitions') }} as acquisitions
        on scopes.brand_id = acquisitions.brand_id and days.customer_key = acquisitions.customer_key
    where days.order_count > 0 and days.is_counted and days.activity_date > acquisitions.first_purchase_on
),

-- Registrations and private contacts by the channel that brought the person, beside what that channel cost.
acquired_rows as (
    select
        registrations.brand_id,
        coalesce(origins.acquisition_channel, 'unknown') as channel,
        registrations.registered_on as on_date,
        1 as acquired_registrations,
        0 as acquired_contacts
    from {{ ref('int_growth__registrations') }} as registrations
    left join {{ ref('int_stages__origins') }} as origins
        on registrations.brand_id = origins.brand_id and registrations.customer_key = origins.customer_key
    union all
    select
        contacts.brand_id,
        coalesce(origins.acquisition_channel, 'unknown') as channel,
        contacts.on_date,
        0 as acquired_registrations,
        1 as acquired_contacts
    from (
        select
            brand_id,
            customer_key,
            min(valid_from) as on_date
        from {{ ref('int_private__reach_spells') }}
        where reach_channel = 'any'
        group by brand_id, customer_key
    ) as contacts
    left join {{ ref('int_stages__origins') }} as origins
        on contacts.brand_id = origins.brand_id and contacts.customer_key = origins.customer_key
),

acquired as (
    select
        scopes.scope_key,
        acquired_rows.on_date,
        sum(acquired_rows.acquired_registrations) as acquired_registrations,
        sum(acquired_rows.acquired_contacts) as acquired_contacts
    from acquired_rows
    inner join scopes
        on
            acquired_rows.brand_id = scopes.brand_id
            and (acquired_rows.channel = scopes.channel or scopes.channel = 'all')
    group by scopes.scope_key, acquired_rows.on_date
),

{% set summed = ['page_views', 'registrations', 'new_customers', 'orders', 'net_amount', 'impressions', 'clicks', 'cost_amount',
                 'acquisition_cost_amount', 'campaign_sales_amount'] %}
daily as (
    select
        scopes.scope_key,
        aarrr_daily.as_of_date as on_date,
        {%- for column in summed %}
        aarrr_daily.{{ column }},
        {%- endfor %}
        0 as repeat_orders,
        0 as acquired_registrations,
        0 as acquired_contacts
    from {{ ref('aarrr_daily') }} as aarrr_daily
    inner join scopes on aarrr_daily.brand_id = scopes.brand_id and aarrr_daily.channel = scopes.channel
    union all
    select
        scope_key,
        on_date,
        {%- for column in summed %}
        null as {{ column }},
        {%- endfor %}
        order_count as repeat_orders,
        0 as acquired_registrations,
        0 as acquired_contacts
    from repeat_order_rows
    union all
    select
        scope_key,
        on_date,
        {%- for column in summed %}
        null as {{ column }},
        {%- endfor %}
        0 as repeat_orders,
        acquired_registrations,
        acquired_contacts
    from acquired
),

sums as (
    {%- for kind in ['month', 'quarter'] %}
    select
        '{{ kind }}' as period_kind,
        cast({{ dbt.date_trunc(kind, 'on_date') }} as date) as period_start,
        scope_key
        {%- for column in summed + ['repeat_orders', 'acquired_registrations', 'acquired_contacts'] %},
        sum({{ column }}) as {{ column }}
        {%- endfor %}
    from daily
    group by cast({{ dbt.date_trunc(kind, 'on_date') }} as date), scope_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_start,
        cast(case periods.period_kind
            when 'month' then {{ dbt.last_day('periods.period_start', 'month') }}
            else {{ dbt.last_day('periods.period_start', 'quarter') }}
        end as date) as period_end,
        scopes.channel,
        coalesce(acted.visitors, 0) as visitors,
        coalesce(acted.active_users, 0) as active_users,
        coalesce(acted.active_user_days, 0) as active_user_days,
        {%- for column in ['buyers', 'buyer_orders', 'repeat_buyers', 'repeat_buyers_by_order'] %}
        coalesce(bought.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        coalesce(buy_back.previous_buyers, 0) as previous_buyers,
        coalesce(buy_back.returned_buyers, 0) as returned_buyers,
        {%- for column in ['page_views', 'registrations', 'new_customers', 'orders', 'net_amount', 'repeat_orders',
                           'acquired_registrations', 'acquired_contacts'] %}
        coalesce(sums.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        {%- for column in ['impressions', 'clicks', 'cost_amount', 'acquisition_cost_amount', 'campaign_sales_amount'] %}
        sums.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from periods
    inner join scopes on periods.brand_id = scopes.brand_id
    {%- for part in ['acted', 'bought', 'buy_back', 'sums'] %}
    left join {{ part }}
        on
            periods.period_kind = {{ part }}.period_kind
            and periods.period_start = {{ part }}.period_start
            and scopes.scope_key = {{ part }}.scope_key
    {%- endfor %}
),

aarrr_periods as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.period_kind as {{ dbt.type_string() }}) as period_kind,
        counted.period_start,
        counted.period_end,
        counted.period_end <= as_of.as_of_date as is_complete,
        cast(counted.channel as {{ dbt.type_string() }}) as channel,
        cast(counted.page_views as bigint) as page_views,
        cast(counted.visitors as bigint) as visitors,
        cast(counted.active_users as bigint) as active_users,
        cast(counted.active_user_days as bigint) as active_user_days,
        cast(counted.impressions as bigint) as impressions,
        cast(counted.clicks as bigint) as clicks,
        cast(counted.clicks as double) / nullif(counted.impressions, 0) as click_through_rate,
        cast(counted.cost_amount as decimal(18, 4)) as cost_amount,
        {{ quanyu.money('cast(counted.cost_amount as double) / nullif(counted.clicks, 0)') }} as cost_per_click,
        cast(counted.registrations as bigint) as registrations,
        cast(counted.new_customers as bigint) as new_customers,
        cast(counted.acquisition_cost_amount as decimal(18, 4)) as acquisition_cost_amount,
        {{ quanyu.money('cast(counted.acquisition_cost_amount as double) / nullif(counted.new_customers, 0)') }}
            as cac_amount,
        cast(counted.acquired_registrations as bigint) as acquired_registrations,
        {{ quanyu.money(
            'cast(counted.acquisition_cost_amount as double) / nullif(counted.acquired_registrations, 0)'
        ) }} as cost_per_registration,
        cast(counted.acquired_contacts as bigint) as acquired_contacts,
        {{ quanyu.money('cast(counted.acquisition_cost_amount as double) / nullif(counted.acquired_contacts, 0)') }} as cost_per_contact,
        cast(counted.orders as bigint) as orders,
        cast(counted.net_amount as decimal(18, 4)) as net_amount,
        cast(counted.buyers as bigint) as buyers,
        cast(counted.buyer_orders as bigint) as buyer_orders,
        cast(counted.buyer_orders as double) / nullif(counted.buyers, 0) as orders_per_buyer,
        cast(counted.repeat_buyers as bigint) as repeat_buyers,
        cast(counted.repeat_buyers as double) / nullif(counted.buyers, 0) as repurchase_rate,
        cast(counted.repeat_buyers_by_order as bigint) as repeat_buyers_by_order,
        cast(counted.repeat_buyers_by_order as double) / nullif(counted.buyers, 0) as repurchase_rate_by_order,
        cast(counted.repeat_orders as bigint) as repeat_orders,
        cast(counted.repeat_orders as double) / nullif(counted.buyer_orders, 0) as repeat_order_rate,
        cast(counted.previous_buyers as bigint) as previous_buyers,
        cast(counted.returned_buyers as bigint) as returned_buyers,
        case
            when counted.period_end <= as_of.as_of_date
                then cast(counted.returned_buyers as double) / nullif(counted.previous_buyers, 0)
        end as buy_back_rate,
        cast(counted.campaign_sales_amount as decimal(18, 4)) as campaign_sales_amount,
        cast(counted.campaign_sales_amount as double) / nullif(cast(counted.cost_amount as double), 0) as roas
    from counted
    cross join as_of
)

select * from aarrr_periods
order by brand_id, period_kind, period_start, channel
