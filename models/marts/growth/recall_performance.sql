-- Grain: one row per brand, campaign (`all` included) and test group (contacted, control).
-- Why: did the lapsed customers who got a message come back more often than those held back from it?
-- Not here: messages that failed; customers who had not lapsed; messages whose days to come back are not over.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

sent as (
    select
        campaigns.brand_id,
        messages.campaign_id,
        messages.customer_key,
        case when messages.is_control then 'control' else 'contacted' end as test_group,
        min(messages.sent_on) as sent_on
    from {{ ref('int_campaigns__messages') }} as messages
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    inner join as_of on {{ quanyu.add_days('messages.sent_on', var('recall_days')) }} <= as_of.as_of_date
    where not messages.has_failed
    group by
        campaigns.brand_id, messages.campaign_id, messages.customer_key,
        case when messages.is_control then 'control' else 'contacted' end
),

cycles as (
    select
        brand_id,
        cycle_days
    from {{ ref('int_value__observations') }}
    where observation = 'as_of'
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
    where channel = 'all'
),

days as (
    select * from {{ ref('int_growth__channel_days') }}
    where is_counted
),

-- Lapsed on the day of sending: the last purchase before it lies so many cycles back.
last_purchases as (
    select
        sent.brand_id,
        sent.campaign_id,
        sent.customer_key,
        sent.test_group,
        sent.sent_on,
        max(days.activity_date) as last_purchase_on
    from sent
    inner join scopes on sent.brand_id = scopes.brand_id
    inner join days
        on
            scopes.scope_key = days.scope_key
            and sent.customer_key = days.customer_key
            and sent.sent_on >= days.activity_date
    where days.order_count > 0
    group by sent.brand_id, sent.campaign_id, sent.customer_key, sent.test_group, sent.sent_on
),

lapsed as (
    select last_purchases.*
    from last_purchases
    inner join cycles on last_purchases.brand_id = cycles.brand_id
    where
        {{ quanyu.days_between('last_purchases.last_purchase_on', 'last_purchases.sent_on') }}
        >= {{ var('churn_lost_ratio') }} * cycles.cycle_days
),

outcomes as (
    select
        lapsed.brand_id,
        lapsed.campaign_id,
        lapsed.test_group,
        lapsed.customer_key,
        max(case when days.activity_date is not null then 1 else 0 end) as has_returned,
        max(case when days.order_count > 0 then 1 else 0 end) as has_bought
    from lapsed
    inner join scopes on lapsed.brand_id = scopes.brand_id
    left join days
        on
            scopes.scope_key = days.scope_key
            and lapsed.customer_key = days.customer_key
            and lapsed.sent_on < days.activity_date
            and days.activity_date <= {{ quanyu.add_days('lapsed.sent_on', var('recall_days')) }}
    group by lapsed.brand_id, lapsed.campaign_id, lapsed.test_group, lapsed.customer_key
),

-- `all` counts a person once per campaign: a message is a trial.
with_all as (
    select * from outcomes
    union all
    select
        brand_id,
        'all' as campaign_id,
        test_group,
        customer_key,
        has_returned,
        has_bought
    from outcomes
),

counted as (
    select
        brand_id,
        campaign_id,
        test_group,
        count(*) as trials,
        sum(has_returned) as returned,
        sum(has_bought) as bought
    from with_all
    group by brand_id, campaign_id, test_group
),

recall_performance as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.campaign_id as {{ dbt.type_string() }}) as campaign_id,
        cast(counted.test_group as {{ dbt.type_string() }}) as test_group,
        cast(counted.trials as bigint) as lapsed_trials,
        cast(counted.returned as bigint) as returned,
        cast(counted.returned as double) / counted.trials as recall_rate,
        cast(counted.bought as bigint) as bought,
        cast(counted.bought as double) / counted.trials as recall_purchase_rate,
        cast(counted.returned as double) / counted.trials - cast(control.returned as double) / control.trials as recall_uplift,
        cast(counted.bought as double) / counted.trials - cast(control.bought as double) / control.trials as recall_purchase_uplift
    from counted
    left join counted as control
        on
            counted.brand_id = control.brand_id
            and counted.campaign_id = control.campaign_id
            and counted.test_group = 'contacted'
            and control.test_group = 'control'
)

select * from recall_performance
order by brand_id, campaign_id, test_group
