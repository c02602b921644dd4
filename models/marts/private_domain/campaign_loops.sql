-- Grain: one row per campaign that has reached or meant to reach a customer.
-- Why: the closed loop (闭环营销): audience, touch, response, order, feedback, and what the campaign really added.
-- Not here: money of people who were not touched; campaigns nobody can be seen in. A step holds only those who passed
--      the one before. Increment and ROI need a control group: without one they are NULL, and ROAS is in aarrr_periods.
{%- set window = var('loop_days') %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

campaigns as (
    select
        campaigns.*,
        coalesce(campaigns.ends_on, campaigns.starts_on) as last_on
    from {{ ref('stg_landing__campaigns') }} as campaigns
    inner join as_of on campaigns.starts_on <= as_of.as_of_date
),

customers as (
    {{ quanyu.counted_customers() }}
),

messages as (
    select
        messages.campaign_id,
        messages.customer_key,
        min(messages.sent_on) as sent_on,
        min(messages.delivered_on) as touched_on,
        min(coalesce(messages.opened_on, messages.clicked_on)) as responded_on,
        max(case when messages.unsubscribed_on is not null then 1 else 0 end) as has_opted_out,
        min(case when messages.is_control then 1 else 0 end) as is_control
    from {{ ref('int_campaigns__messages') }} as messages
    inner join as_of on messages.sent_on <= as_of.as_of_date
    group by messages.campaign_id, messages.customer_key
),

touches as (
    select
        touchpoints.campaign_id,
        touchpoints.customer_key,
        min(touchpoints.occurred_on) as touched_on,
        min(case when coalesce(roles.is_active, true) then touchpoints.occurred_on end) as responded_on
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join customers on touchpoints.customer_key = customers.customer_key
    left join {{ ref('growth_event_roles') }} as roles on touchpoints.event_type = roles.event_type
    where touchpoints.campaign_id is not null
    group by touchpoints.campaign_id, touchpoints.customer_key
),

-- The audience of a campaign: those a message was meant for, and those seen in touch with it.
people as (
    select
        coalesce(messages.campaign_id, touches.campaign_id) as campaign_id,
        coalesce(messages.customer_key, touches.customer_key) as customer_key,
        coalesce(messages.is_control, 0) as is_control,
        case when coalesce(messages.is_control, 0) = 0 then
            coalesce(
                least(messages.touched_on, touches.touched_on), messages.touched_on, touches.touched_on
            )
        end as touched_on,
        case when coalesce(messages.is_control, 0) = 0 then
            coalesce(
                least(messages.responded_on, touches.responded_on), messages.responded_on, touches.responded_on
            )
        end as responded_on,
        coalesce(messages.sent_on, touches.touched_on) as from_date,
        coalesce(messages.has_opted_out, 0) as has_opted_out
    from messages
    full join touches
        on messages.campaign_id = touches.campaign_id and messages.customer_key = touches.customer_key
),

branded as (
    select
        campaigns.brand_id,
        people.*
    from people
    inner join campaigns on people.campaign_id = campaigns.campaign_id
),

purchases as (
    select
        brand_id,
        customer_key,
        purchased_on as activity_date,
        net_amount
    from {{ ref('int_value__purchase_days') }}
    where observation = 'as_of'
),

-- Bought within the window: after the response for the loop, after the sending for the comparison with control.
outcomes as (
    select
        branded.brand_id,
        branded.campaign_id,
        branded.customer_key,
        branded.is_control,
        branded.from_date,
        branded.touched_on,
        branded.responded_on,
        branded.has_opted_out,
        min(case when purchases.activity_date >= branded.responded_on then purchases.activity_date end) as ordered_on,
        coalesce(sum(case when purchases.activity_date > branded.from_date then purchases.net_amount end), 0)
            as later_amount,
        max(case when purchases.activity_date > branded.from_date then 1 else 0 end) as has_bought_later,
        coalesce(sum(case when purchases.activity_date >= branded.responded_on then purchases.net_amount end), 0)
            as responding_amount
    from branded
    left join purchases
        on
            branded.brand_id = purchases.brand_id
            and branded.customer_key = purchases.customer_key
            and branded.from_date <= purchases.activity_date
            and purchases.activity_date <= {{ quanyu.add_days('branded.from_date', window) }}
    group by
        branded.brand_id, branded.campaign_id, branded.customer_key, branded.is_control,
        branded.from_date, branded.touched_on, branded.responded_on, branded.has_opted_out
),

-- What came back after the order: a review, a refund, or another purchase.
reviews as (
    select distinct
        brand_id,
        customer_key,
        occurred_on
    from {{ ref('fct_touchpoints') }}
    where event_type = 'review'
),

refunds as (
    select distinct
        brand_id,
        customer_key,
        refunded_on
    from {{ ref('fct_refunds') }}
    where customer_key is not null
),

orders_of_loop as (
    select * from outcomes
    where is_control = 0 and touched_on is not null and ordered_on is not null
),

fed_back as (
    select distinct
        orders_of_loop.campaign_id,
        orders_of_loop.customer_key
    from orders_of_loop
    inner join reviews
        on
            orders_of_loop.brand_id = reviews.brand_id
            and orders_of_loop.customer_key = reviews.customer_key
            and orders_of_loop.ordered_on <= reviews.occurred_on
            and reviews.occurred_on <= {{ quanyu.add_days('orders_of_loop.ordered_on', window) }}
    union
    select distinct
        orders_of_loop.campaign_id,
        orders_of_loop.customer_key
    from orders_of_loop
    inner join refunds
        on
            orders_of_loop.brand_id = refunds.brand_id
            and orders_of_loop.customer_key = refunds.customer_key
            and orders_of_loop.ordered_on <= refunds.refunded_on
            and refunds.refunded_on <= {{ quanyu.add_days('orders_of_loop.ordered_on', window) }}
    union
    select distinct
        orders_of_loop.campaign_id,
        orders_of_loop.customer_key
    from orders_of_loop
    inner join purchases
        on
            orders_of_loop.brand_id = purchases.brand_id
            and orders_of_loop.customer_key = purchases.customer_key
            and orders_of_loop.ordered_on < purchases.activity_date
            and purchases.activity_date <= {{ quanyu.add_days('orders_of_loop.ordered_on', window) }}
),

stepped as (
    select
        outcomes.*,
        case when outcomes.is_control = 0 and outcomes.touched_on is not null then 1 else 0 end as is_touched,
        case
            when outcomes.is_control = 0 and outcomes.touched_on is not null and outcomes.responded_on is not null
                then 1
            else 0
        end as is_response,
        case
            when outcomes.is_control = 0 and outcomes.touched_on is not null and outcomes.ordered_on is not null
                then 1
            else 0
        end as is_order,
        case when fed_back.customer_key is not null then 1 else 0 end as is_feedback
    from outcomes
    left join fed_back
        on outcomes.campaign_id = fed_back.campaign_id and outcomes.customer_key = fed_back.customer_key
),

counted as (
    select
        brand_id,
        campaign_id,
        count(*) as audience,
        sum(is_control) as control_audience,
        sum(is_touched) as touched,
        sum(is_response) as responded,
        sum(is_order) as ordered,
        sum(is_feedback) as fed_back,
        -- Recorded outcome of a contact: an answer, a purchase or a goodbye.
        sum(case when is_touched = 1 and (is_response = 1 or has_bought_later = 1 or has_opted_out = 1) then 1 else 0 end)
            as closed,
        sum(case when is_order = 1 then responding_amount else 0 end) as ordered_amount,
        percentile_cont(0.5) within group (
            order by case when is_order = 1 then {{ quanyu.days_between('touched_on', 'ordered_on') }} end
        ) as median_cycle_days,
        sum(is_touched * has_bought_later) as touched_buyers,
        sum(case when is_touched = 1 then later_amount else 0 end) as touched_amount,
        sum(is_control * has_bought_later) as control_buyers,
        sum(case when is_control = 1 then later_amount else 0 end) as control_amount,
        max(from_date) as last_from_date
    from stepped
    group by brand_id, campaign_id
),

costs as (
    select
        costs.campaign_id,
        sum(costs.cost_amount) as cost_amount
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join as_of on costs.spent_on <= as_of.as_of_date
    group by costs.campaign_id
),

measured as (
    select
        counted.*,
        campaigns.campaign_name,
        campaigns.scenario,
        campaigns.channel,
        coalesce(costs.cost_amount, campaigns.budget_amount) as cost_amount,
        case
            when costs.cost_amount is not null then 'cost'
            when campaigns.budget_amount is not null then 'budget'
        end as cost_basis,
        {{ quanyu.add_days('counted.last_from_date', window) }} <= as_of.as_of_date as is_observed,
        case
            when counted.control_audience > 0 and counted.touched > 0
                then
                    cast(counted.touched_amount as double)
                    - counted.touched * cast(counted.control_amount as double) / counted.control_audience
        end as incremental_amount
    from counted
    inner join campaigns on counted.campaign_id = campaigns.campaign_id
    cross join as_of
    left join costs on counted.campaign_id = costs.campaign_id
),

campaign_loops as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id,
        cast(campaign_name as {{ dbt.type_string() }}) as campaign_name,
        cast(scenario as {{ dbt.type_string() }}) as scenario,
        cast(channel as {{ dbt.type_string() }}) as channel,
        is_observed,
        cast(audience as bigint) as audience,
        cast(control_audience as bigint) as control_audience,
        cast(touched as bigint) as touched,
        cast(touched as double) / nullif(audience - control_audience, 0) as touch_rate,
        cast(responded as bigint) as responded,
        cast(responded as double) / nullif(touched, 0) as response_rate,
        cast(case when is_observed then ordered end as bigint) as ordered,
        case when is_observed then cast(ordered as double) / nullif(responded, 0) end as order_rate,
        cast(case when is_observed then fed_back end as bigint) as fed_back,
        case when is_observed then cast(fed_back as double) / nullif(ordered, 0) end as feedback_rate,
        cast(case when is_observed then closed end as bigint) as closed,
        case when is_observed then cast(closed as double) / nullif(touched, 0) end as closure_rate,
        cast(case when is_observed then median_cycle_days end as double) as median_cycle_days,
        cast(case when is_observed then ordered_amount end as decimal(18, 4)) as ordered_amount,
        cast(case when is_observed then touched_buyers end as bigint) as touched_buyers,
        case when is_observed then cast(touched_buyers as double) / nullif(touched, 0) end as touched_purchase_rate,
        cast(case when is_observed and control_audience > 0 then control_buyers end as bigint) as control_buyers,
        case when is_observed then cast(control_buyers as double) / nullif(control_audience, 0) end as control_purchase_rate,
        {{ quanyu.money('case when is_observed then incremental_amount end') }} as incremental_amount,
        cast(cost_amount as decimal(18, 4)) as cost_amount,
        cast(cost_basis as {{ dbt.type_string() }}) as cost_basis,
        case
            when is_observed
                then
                    (incremental_amount * {{ var('clv_margin_rate') }} - cast(cost_amount as double))
                    / nullif(cast(cost_amount as double), 0)
        end as roi
    from measured
)

select * from campaign_loops
order by brand_id, campaign_id
