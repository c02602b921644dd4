-- Grain: one row per brand, member of staff and month with an added or deleted contact, or an order that names them.
-- Why: 1+3+N (微域运营) per member of staff: added, contacted, first order, after-sales contact, repurchase or referral.
-- Not here: tags, applications and reply times, which nobody lands. Steps hold those who passed the one before; until
--      everybody added in the month has had the time for all of them the steps after the add are NULL.
{%- set contact = var('staff_contact_days') %}
{%- set order = var('staff_order_days') %}
{%- set service = var('staff_service_days') %}
{%- set repurchase = var('staff_repurchase_days') %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

contacts as (
    select
        brand_id,
        relationship_key as staff_id,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('fct_relationship_spells') }}
    where relationship = 'wecom_contact' and relationship_key <> ''
),

adds as (
    select
        brand_id,
        staff_id,
        customer_key,
        min(valid_from) as added_on
    from contacts
    group by brand_id, staff_id, customer_key
),

touches as (
    select
        brand_id,
        staff_id,
        customer_key,
        touched_on
    from {{ ref('int_private__staff_touches') }}
),

contacted as (
    select
        adds.brand_id,
        adds.staff_id,
        adds.customer_key,
        min(touches.touched_on) as contacted_on
    from adds
    inner join touches
        on
            adds.brand_id = touches.brand_id
            and adds.staff_id = touches.staff_id
            and adds.customer_key = touches.customer_key
            and adds.added_on <= touches.touched_on
            and touches.touched_on <= {{ quanyu.add_days('adds.added_on', contact) }}
    group by adds.brand_id, adds.staff_id, adds.customer_key
),

purchases as (
    select distinct
        brand_id,
        customer_key,
        purchased_on
    from {{ ref('fct_orders') }}
    where is_valid_purchase and customer_key is not null
),

ordered as (
    select
        contacted.brand_id,
        contacted.staff_id,
        contacted.customer_key,
        min(purchases.purchased_on) as ordered_on
    from contacted
    inner join purchases
        on
            contacted.brand_id = purchases.brand_id
            and contacted.customer_key = purchases.customer_key
            and contacted.contacted_on <= purchases.purchased_on
            and purchases.purchased_on <= {{ quanyu.add_days('contacted.contacted_on', order) }}
    group by contacted.brand_id, contacted.staff_id, contacted.customer_key
),

served as (
    select distinct
        ordered.brand_id,
        ordered.staff_id,
        ordered.customer_key,
        ordered.ordered_on
    from ordered
    inner join touches
        on
            ordered.brand_id = touches.brand_id
            and ordered.staff_id = touches.staff_id
            and ordered.customer_key = touches.customer_key
            and ordered.ordered_on < touches.touched_on
            and touches.touched_on <= {{ quanyu.add_days('ordered.ordered_on', service) }}
),

returned as (
    select
        served.brand_id,
        served.staff_id,
        served.customer_key,
        max(case when purchases.purchased_on is not null then 1 else 0 end) as has_repurchased,
        max(case when referrals.accepted_on is not null then 1 else 0 end) as has_referred
    from served
    left join purchases
        on
            served.brand_id = purchases.brand_id
            and served.customer_key = purchases.customer_key
            and served.ordered_on < purchases.purchased_on
            and purchases.purchased_on <= {{ quanyu.add_days('served.ordered_on', repurchase) }}
    left join {{ ref('int_growth__referrals') }} as referrals
        on
            served.brand_id = referrals.brand_id
            and served.customer_key = referrals.inviter_key
            and served.ordered_on <= referrals.accepted_on
            and referrals.accepted_on <= {{ quanyu.add_days('served.ordered_on', repurchase) }}
    group by served.brand_id, served.staff_id, served.customer_key
),

funnel as (
    select
        adds.brand_id,
        adds.staff_id,
        cast({{ dbt.date_trunc('month', 'adds.added_on') }} as date) as added_month,
        count(*) as added,
        count(contacted.customer_key) as contacted,
        count(ordered.customer_key) as ordered,
        count(served.customer_key) as served,
        sum(case when returned.has_repurchased = 1 or returned.has_referred = 1 then 1 else 0 end) as returned,
        sum(case when returned.has_repurchased = 1 and returned.has_referred = 1 then 1 else 0 end) as koc,
        max(adds.added_on) as last_added_on
    from adds
    {%- for part in ['contacted', 'ordered', 'served', 'returned'] %}
    left join {{ part }}
        on
            adds.brand_id = {{ part }}.brand_id
            and adds.staff_id = {{ part }}.staff_id
            and adds.customer_key = {{ part }}.customer_key
    {%- endfor %}
    group by adds.brand_id, adds.staff_id, cast({{ dbt.date_trunc('month', 'adds.added_on') }} as date)
),

deletes as (
    select
        brand_id,
        staff_id,
        cast({{ dbt.date_trunc('month', 'valid_to') }} as date) as added_month,
        count(*) as deleted
    from contacts
    where valid_to is not null
    group by brand_id, staff_id, cast({{ dbt.date_trunc('month', 'valid_to') }} as date)
),

-- Contacts live at the end of the day before the month: what a delete rate is a rate of.
months as (
    select distinct cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as added_month
    from {{ ref('int_stages__calendar') }}
),

stock_changes as (
    select
        brand_id,
        staff_id,
        on_date,
        sum(change) as change
    from (
        select
            brand_id,
            staff_id,
            valid_from as on_date,
            1 as change
        from contacts
        union all
        select
            brand_id,
            staff_id,
            valid_to as on_date,
            -1 as change
        from contacts
        where valid_to is not null
    ) as turns
    group by brand_id, staff_id, on_date
),

stocks as (
    select
        stock_changes.brand_id,
        stock_changes.staff_id,
        months.added_month,
        sum(stock_changes.change) as contacts_before
    from stock_changes
    inner join months on stock_changes.on_date < months.added_month
    group by stock_changes.brand_id, stock_changes.staff_id, months.added_month
),

guided as (
    select
        brand_id,
        staff_id,
        cast({{ dbt.date_trunc('month', 'purchased_on') }} as date) as added_month,
        count(*) as guided_orders,
        sum(net_amount) as guided_net_amount
    from {{ ref('fct_orders') }}
    where is_valid_purchase and staff_id is not null
    group by brand_id, staff_id, cast({{ dbt.date_trunc('month', 'purchased_on') }} as date)
),

staff_months as (
    select
        brand_id,
        staff_id,
        added_month
    from funnel
    union
    select
        brand_id,
        staff_id,
        added_month
    from deletes
    union
    select
        brand_id,
        staff_id,
        added_month
    from guided
),

joined as (
    select
        staff_months.brand_id,
        staff_months.staff_id,
        staff_months.added_month,
        coalesce(stocks.contacts_before, 0) as contacts_before,
        {%- for column in ['added', 'contacted', 'ordered', 'served', 'returned', 'koc'] %}
        coalesce(funnel.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        coalesce(deletes.deleted, 0) as deleted,
        coalesce(guided.guided_orders, 0) as guided_orders,
        coalesce(guided.guided_net_amount, 0) as guided_net_amount,
        funnel.last_added_on is null
        or {{ quanyu.add_days('funnel.last_added_on', contact + order + [service, repurchase] | max) }}
        <= as_of.as_of_date as is_observed
    from staff_months
    cross join as_of
    {%- for part in ['funnel', 'deletes', 'stocks', 'guided'] %}
    left join {{ part }}
        on
            staff_months.brand_id = {{ part }}.brand_id
            and staff_months.staff_id = {{ part }}.staff_id
            and staff_months.added_month = {{ part }}.added_month
    {%- endfor %}
),

staff_funnels as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(staff_id as {{ dbt.type_string() }}) as staff_id,
        added_month,
        is_observed,
        cast(contacts_before as bigint) as contacts_before,
        cast(added as bigint) as added,
        cast(deleted as bigint) as deleted,
        cast(deleted as double) / nullif(contacts_before, 0) as delete_rate,
        {%- for step, before in [('contacted', 'added'), ('ordered', 'contacted'), ('served', 'ordered'), ('returned', 'served')] %}
        cast(case when is_observed then {{ step }} end as bigint) as {{ step }},
        case when is_observed then cast({{ step }} as double) / nullif({{ before }}, 0) end as {{ step }}_rate,
        {%- endfor %}
        cast(case when is_observed then koc end as bigint) as key_opinion_consumers,
        cast(guided_orders as bigint) as guided_orders,
        cast(guided_net_amount as decimal(18, 4)) as guided_net_amount
    from joined
)

select * from staff_funnels
order by brand_id, staff_id, added_month
