-- Grain: one row per brand, month and kind (follower, wecom_contact, group_member, member, private_any, purchase).
-- Why: losing the way to a customer and losing the customer's purchases are two things; they stand side by side.
-- Not here: people who left and came back within the month count once as lost when they were gone on some day.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

months as (
    select
        brand_id,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as churn_month,
        cast({{ dbt.last_day("cast(" ~ dbt.date_trunc('month', 'max(as_of_date)') ~ " as date)", 'month') }} as date) as month_end
    from {{ ref('int_stages__calendar') }}
    group by brand_id, cast({{ dbt.date_trunc('month', 'as_of_date') }} as date)
),

identities as (
    {{ quanyu.counted_customers() }}
),

-- Days on which a customer has a relationship of the kind, whatever the number of staff, groups and cards.
turns as (
    select
        brand_id,
        customer_key,
        relationship,
        valid_from as on_date,
        1 as change
    from {{ ref('fct_relationship_spells') }}
    union all
    select
        brand_id,
        customer_key,
        relationship,
        valid_to as on_date,
        -1 as change
    from {{ ref('fct_relationship_spells') }}
    where valid_to is not null
),

levels as (
    select
        turns.brand_id,
        turns.customer_key,
        turns.relationship,
        turns.on_date,
        sum(sum(turns.change)) over (
            partition by turns.brand_id, turns.customer_key, turns.relationship order by turns.on_date
            rows between unbounded preceding and current row
        ) as level
    from turns
    inner join identities on turns.customer_key = identities.customer_key
    group by turns.brand_id, turns.customer_key, turns.relationship, turns.on_date
),

compared as (
    select
        *,
        lag(level, 1, 0) over (partition by brand_id, customer_key, relationship order by on_date) as level_before
    from levels
),

relationship_turns as (
    select
        brand_id,
        relationship as kind,
        customer_key,
        on_date,
        case when level > 0 then 1 else -1 end as change
    from compared
    where (level > 0) <> (level_before > 0)
),

private_turns as (
    select
        brand_id,
        'private_any' as kind,
        customer_key,
        valid_from as on_date,
        1 as change
    from {{ ref('int_private__reach_spells') }}
    where reach_channel = 'any'
    union all
    select
        brand_id,
        'private_any' as kind,
        customer_key,
        valid_to as on_date,
        -1 as change
    from {{ ref('int_private__reach_spells') }}
    where reach_channel = 'any' and valid_to is not null
),

-- A buyer is lost to purchases when so many expected cycles have passed without one, and won back by the next.
purchase_days as (
    select
        purchase_days.brand_id,
        purchase_days.customer_key,
        purchase_days.purchased_on,
        {{ quanyu.add_days(
            'purchase_days.purchased_on',
            'ceil(' ~ var('churn_lost_ratio') ~ ' * greatest(cycles.expected_cycle_days, 1))'
        ) }} as lost_on,
        lead(purchase_days.purchased_on) over (
            partition by purchase_days.brand_id, purchase_days.customer_key order by purchase_days.purchased_on
        ) as next_on,
        lag({{ quanyu.add_days(
            'purchase_days.purchased_on',
            'ceil(' ~ var('churn_lost_ratio') ~ ' * greatest(cycles.expected_cycle_days, 1))'
        ) }}) over (
            partition by purchase_days.brand_id, purchase_days.customer_key order by purchase_days.purchased_on
        ) as lost_before_on
    from {{ ref('int_value__purchase_days') }} as purchase_days
    inner join {{ ref('int_value__person_cycles') }} as cycles
        on
            purchase_days.brand_id = cycles.brand_id
            and purchase_days.customer_key = cycles.customer_key
            and cycles.observation = 'as_of'
            and cycles.category = '*'
    where purchase_days.observation = 'as_of'
),

purchase_turns as (
    select
        brand_id,
        'purchase' as kind,
        customer_key,
        purchased_on as on_date,
        1 as change
    from purchase_days
    where lost_before_on is null or lost_before_on < purchased_on
    union all
    select
        purchase_days.brand_id,
        'purchase' as kind,
        purchase_days.customer_key,
        purchase_days.lost_on as on_date,
        -1 as change
    from purchase_days
    inner join as_of on purchase_days.lost_on <= as_of.as_of_date
    where purchase_days.next_on is null or purchase_days.lost_on < purchase_days.next_on
),

all_turns as (
    select * from relationship_turns
    union all
    select * from private_turns
    union all
    select * from purchase_turns
),

in_months as (
    select
        brand_id,
        kind,
        customer_key,
        cast({{ dbt.date_trunc('month', 'on_date') }} as date) as churn_month,
        sum(change) as change,
        -- Who was there when the month began: the first turn of the month is then an end.
        min(case when change < 0 then on_date end) as first_end_on,
        min(case when change > 0 then on_date end) as first_start_on
    from all_turns
    group by brand_id, kind, customer_key, cast({{ dbt.date_trunc('month', 'on_date') }} as date)
),

flows as (
    select
        brand_id,
        kind,
        churn_month,
        sum(change) as change,
        sum(case when first_start_on is null or first_end_on < first_start_on then 1 else 0 end) as lost,
        sum(case when first_end_on is null or first_start_on < first_end_on then 1 else 0 end) as gained
    from in_months
    group by brand_id, kind, churn_month
),

grid as (
    select
        months.brand_id,
        months.churn_month,
        months.month_end,
        kinds.kind
    from months
    inner join (
        select distinct
            brand_id,
            kind
        from flows
    ) as kinds on months.brand_id = kinds.brand_id
),

counted as (
    select
        grid.brand_id,
        grid.churn_month,
        grid.month_end,
        grid.kind,
        coalesce(flows.lost, 0) as lost,
        coalesce(flows.gained, 0) as gained,
        sum(coalesce(flows.change, 0)) over (
            partition by grid.brand_id, grid.kind order by grid.churn_month
            rows between unbounded preceding and current row
        ) as at_end,
        sum(coalesce(flows.change, 0)) over (
            partition by grid.brand_id, grid.kind order by grid.churn_month
            rows between unbounded preceding and current row
        ) - coalesce(flows.change, 0) as at_start
    from grid
    left join flows
        on grid.brand_id = flows.brand_id and grid.kind = flows.kind and grid.churn_month = flows.churn_month
),

relationship_churn as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        counted.churn_month,
        cast(counted.kind as {{ dbt.type_string() }}) as kind,
        counted.month_end <= as_of.as_of_date as is_complete,
        cast(counted.at_start as bigint) as customers_at_start,
        cast(counted.lost as bigint) as lost_customers,
        cast(counted.lost as double) / nullif(counted.at_start, 0) as churn_rate,
        cast(counted.gained as bigint) as gained_customers,
        cast(counted.at_end as bigint) as customers_at_end
    from counted
    cross join as_of
)

select * from relationship_churn
order by brand_id, churn_month, kind
