-- Grain: one row per brand, acquisition channel (`all` included) and cohort month with new customers or cost.
-- Why: an acquisition is judged by what its customers are worth later, and not by the order it won.
-- Not here: cost of campaigns that do not acquire (var acquisition_scenarios); staff and goods (var clv_margin_rate).
with acquisitions as (
    select * from {{ ref('int_value__acquisitions') }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

costs as (
    select
        campaigns.brand_id,
        coalesce(costs.channel, campaigns.channel, 'unknown') as acquisition_channel,
        cast({{ dbt.date_trunc('month', 'costs.spent_on') }} as date) as cohort_month,
        sum(costs.cost_amount) as cost_amount
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    inner join as_of on costs.spent_on <= as_of.as_of_date
    where campaigns.scenario in ({{ quanyu.text_literals(var('acquisition_scenarios')) }})
    group by
        campaigns.brand_id, coalesce(costs.channel, campaigns.channel, 'unknown'),
        cast({{ dbt.date_trunc('month', 'costs.spent_on') }} as date)
),

costs_with_all as (
    select * from costs
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        sum(cost_amount) as cost_amount
    from costs
    group by brand_id, cohort_month
),

-- To date, a month is what has been seen of it: the running month counts as far as it goes.
money as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        {{ quanyu.days_between('first_purchase_on', 'flow_date') }} as day_number,
        order_date_amount
    from {{ ref('int_value__money_days') }}
),

money_with_all as (
    select * from money
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        day_number,
        order_date_amount
    from money
),

running as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        day_number,
        sum(sum(order_date_amount)) over (
            partition by brand_id, acquisition_channel, cohort_month order by day_number
            rows between unbounded preceding and current row
        ) * {{ var('clv_margin_rate') }} as margin_so_far
    from money_with_all
    group by brand_id, acquisition_channel, cohort_month, day_number
),

values_to_date as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        sum(order_date_amount) * {{ var('clv_margin_rate') }} as value_to_date
    from money_with_all
    group by brand_id, acquisition_channel, cohort_month
),

paybacks as (
    select
        running.brand_id,
        running.acquisition_channel,
        running.cohort_month,
        min(case
            when running.margin_so_far >= costs_with_all.cost_amount then greatest(0, running.day_number)
        end) as payback_days
    from running
    inner join costs_with_all
        on
            running.brand_id = costs_with_all.brand_id
            and running.acquisition_channel = costs_with_all.acquisition_channel
            and running.cohort_month = costs_with_all.cohort_month
    group by running.brand_id, running.acquisition_channel, running.cohort_month
),

identities as (
    {{ quanyu.counted_customers() }}
),

predicted as (
    select
        acquisitions.brand_id,
        acquisitions.acquisition_channel,
        acquisitions.cohort_month,
        case when worth.is_model_used then worth.discounted_clv end as future_value
    from acquisitions
    inner join identities on acquisitions.customer_key = identities.customer_key
    inner join {{ ref('clv_customers') }} as worth
        on acquisitions.brand_id = worth.brand_id and identities.customer_id = worth.customer_id
),

predicted_with_all as (
    select * from predicted
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        future_value
    from predicted
),

cohorts as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        count(*) as new_customers,
        sum(future_value) as future_value
    from predicted_with_all
    group by brand_id, acquisition_channel, cohort_month
),

horizon_values as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        {%- for days in [90, 180, 365] %}
        max(case when horizon_days = {{ days }} and observed_customers = cohort_customers then order_date_amount end)
        * {{ var('clv_margin_rate') }} as value_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('repurchase_cohorts') }}
    group by brand_id, acquisition_channel, cohort_month
),

batches as (
    select
        coalesce(cohorts.brand_id, costs_with_all.brand_id) as brand_id,
        coalesce(cohorts.acquisition_channel, costs_with_all.acquisition_channel) as acquisition_channel,
        coalesce(cohorts.cohort_month, costs_with_all.cohort_month) as cohort_month,
        coalesce(cohorts.new_customers, 0) as new_customers,
        cohorts.future_value,
        costs_with_all.cost_amount
    from cohorts
    full outer join costs_with_all
        on
            cohorts.brand_id = costs_with_all.brand_id
            and cohorts.acquisition_channel = costs_with_all.acquisition_channel
            and cohorts.cohort_month = costs_with_all.cohort_month
),

joined as (
    select
        batches.*,
        values_to_date.value_to_date,
        horizon_values.value_90d,
        horizon_values.value_180d,
        horizon_values.value_365d,
        paybacks.payback_days
    from batches
    left join values_to_date
        on
            batches.brand_id = values_to_date.brand_id
            and batches.acquisition_channel = values_to_date.acquisition_channel
            and batches.cohort_month = values_to_date.cohort_month
    left join horizon_values
        on
            batches.brand_id = horizon_values.brand_id
            and batches.acquisition_channel = horizon_values.acquisition_channel
            and batches.cohort_month = horizon_values.cohort_month
    left join paybacks
        on
            batches.brand_id = paybacks.brand_id
            and batches.acquisition_channel = paybacks.acquisition_channel
            and batches.cohort_month = paybacks.cohort_month
),

unit_economics as (
    select
        as_of.as_of_date,
        cast(joined.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(joined.acquisition_channel as {{ dbt.type_string() }}) as acquisition_channel,
        joined.cohort_month,
        cast(joined.new_customers as bigint) as new_customers,
        cast(joined.cost_amount as decimal(18, 4)) as cost_amount,
        {{ quanyu.money('cast(joined.cost_amount as double) / nullif(joined.new_customers, 0)') }} as cac,
        cast(joined.value_to_date as decimal(18, 4)) as value_to_date,
        {%- for days in [90, 180, 365] %}
        {{ quanyu.money('cast(joined.value_' ~ days ~ 'd as double) / nullif(joined.new_customers, 0)') }}
            as ltv_{{ days }}d,
        {%- endfor %}
        {{ quanyu.money('cast(joined.value_to_date as double) / nullif(joined.new_customers, 0)') }}
            as ltv_to_date,
        {{ quanyu.money('cast(joined.future_value as double) / nullif(joined.new_customers, 0)') }}
            as future_value_per_customer,
        {{ quanyu.money(
            'cast(joined.value_to_date + coalesce(joined.future_value, 0) as double) / nullif(joined.new_customers, 0)'
        ) }} as ltv,
        case when joined.future_value is null then 'to date' else 'to date and expected' end as ltv_basis,
        cast(joined.value_to_date + coalesce(joined.future_value, 0) as double)
        / nullif(cast(joined.cost_amount as double), 0) as ltv_to_cac,
        cast(joined.payback_days as integer) as payback_days
    from joined
    cross join as_of
)

select * from unit_economics
order by brand_id, acquisition_channel, cohort_month
