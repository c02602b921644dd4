-- Grain: one row per brand, test (due_date, message) and test group.
-- Why: whether due dates find those who buy, and whether reminding sells anything that would not have sold itself.
-- Not here: tests that need more history than there is, or a control group that was never kept.
with observations as (
    select * from {{ ref('int_value__observations') }}
    where observation = 'churn_backtest'
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

past as (
    select * from {{ ref('int_value__person_cycles') }}
    where observation = 'churn_backtest' and category <> '*'
),

-- What came after, as known now.
later as (
    select * from {{ ref('int_value__category_days') }}
    where observation = 'as_of'
),

outcomes as (
    select
        past.brand_id,
        past.customer_key,
        past.category,
        past.is_due,
        past.observation_date,
        max(case when later.purchased_on is not null then 1 else 0 end) as has_bought
    from past
    left join later
        on
            past.brand_id = later.brand_id
            and past.customer_key = later.customer_key
            and past.category = later.category
            and past.observation_date < later.purchased_on
            and later.purchased_on <= {{ quanyu.add_days('past.observation_date', '2 * past.lead_days') }}
    group by past.brand_id, past.customer_key, past.category, past.is_due, past.observation_date
),

due_dates as (
    select
        outcomes.brand_id,
        'due_date' as test,
        case when outcomes.is_due then 'due' else 'not_due' end as test_group,
        outcomes.observation_date as from_date,
        as_of.as_of_date as to_date,
        count(*) as trials,
        sum(outcomes.has_bought) as buyers
    from outcomes
    cross join as_of
    group by outcomes.brand_id, outcomes.is_due, outcomes.observation_date, as_of.as_of_date
),

-- Sent within the last cycle, early enough for the whole outcome window to lie before the as-of date.
sent as (
    select
        messages.brand_id,
        messages.campaign_id,
        messages.customer_key,
        messages.is_control,
        min(messages.sent_on) as sent_on
    from {{ ref('int_value__reminder_messages') }} as messages
    group by messages.brand_id, messages.campaign_id, messages.customer_key, messages.is_control
),

sent_in_time as (
    select
        sent.*,
        {{ quanyu.add_days('observations.observation_date', -var('reminder_outcome_days')) }} as from_date,
        {{ quanyu.add_days('as_of.as_of_date', -var('reminder_outcome_days')) }} as to_date
    from sent
    inner join observations on sent.brand_id = observations.brand_id
    cross join as_of
    where
        sent.sent_on > {{ quanyu.add_days('observations.observation_date', -var('reminder_outcome_days')) }}
        and sent.sent_on <= {{ quanyu.add_days('as_of.as_of_date', -var('reminder_outcome_days')) }}
),

purchase_days as (
    select
        brand_id,
        customer_key,
        purchased_on
    from {{ ref('int_value__purchase_days') }}
    where observation = 'as_of'
),

message_outcomes as (
    select
        sent_in_time.brand_id,
        sent_in_time.campaign_id,
        sent_in_time.customer_key,
        sent_in_time.is_control,
        sent_in_time.from_date,
        sent_in_time.to_date,
        max(case when purchase_days.purchased_on is not null then 1 else 0 end) as has_bought
    from sent_in_time
    left join purchase_days
        on
            sent_in_time.brand_id = purchase_days.brand_id
            and sent_in_time.customer_key = purchase_days.customer_key
            and sent_in_time.sent_on < purchase_days.purchased_on
            and purchase_days.purchased_on
            <= {{ quanyu.add_days('sent_in_time.sent_on', var('reminder_outcome_days')) }}
    group by
        sent_in_time.brand_id, sent_in_time.campaign_id, sent_in_time.customer_key,
        sent_in_time.is_control, sent_in_time.from_date, sent_in_time.to_date
),

message_tests as (
    select
        brand_id,
        'message' as test,
        case when is_control then 'control' else 'reminded' end as test_group,
        from_date,
        to_date,
        count(*) as trials,
        sum(has_bought) as buyers
    from message_outcomes
    group by brand_id, is_control, from_date, to_date
),

tests as (
    select * from due_dates
    union all
    select * from message_tests
),

compared as (
    select
        tests.*,
        cast(tests.buyers as double) / tests.trials as purchase_rate,
        cast(baseline.buyers as double) / baseline.trials as baseline_rate
    from tests
    left join tests as baseline
        on
            tests.brand_id = baseline.brand_id
            and tests.test = baseline.test
            and tests.test_group in ('due', 'reminded')
            and baseline.test_group in ('not_due', 'control')
),

reminder_backtest as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(test as {{ dbt.type_string() }}) as test,
        cast(test_group as {{ dbt.type_string() }}) as test_group,
        cast(from_date as date) as from_date,
        cast(to_date as date) as to_date,
        cast(trials as bigint) as trials,
        cast(buyers as bigint) as buyers,
        purchase_rate,
        purchase_rate - baseline_rate as uplift
    from compared
)

select * from reminder_backtest
order by brand_id, test, test_group
