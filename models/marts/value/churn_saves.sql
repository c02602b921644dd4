-- Grain: one row per brand, band (warning, churned) and test group (contacted, control).
-- Why: of those who were leaving when a message went to them, how many came back; the control came back unasked.
-- Not here: messages to people on time or just due; messages whose outcome days are not over.
with contacts as (
    select
        brand_id,
        campaign_id,
        customer_key,
        is_control,
        min(sent_on) as sent_on
    from {{ ref('int_value__contacts') }}
    group by brand_id, campaign_id, customer_key, is_control
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

windows as (
    select
        as_of_date,
        cast({{ quanyu.add_days('as_of_date', -(var('churn_save_days') + var('churn_save_window_days'))) }} as date)
            as sent_after,
        cast({{ quanyu.add_days('as_of_date', -var('churn_save_days')) }} as date) as sent_to
    from as_of
),

cycles as (
    select
        brand_id,
        cycle_days
    from {{ ref('int_value__cycles') }}
    where observation = 'as_of' and kind = 'any'
),

-- The band on the day of sending, from the purchases up to it, as int_value__person_cycles reads today's.
trials as (
    select
        contacts.brand_id,
        contacts.campaign_id,
        contacts.customer_key,
        contacts.is_control,
        contacts.sent_on,
        sum(case when days.purchased_on <= contacts.sent_on then 1 else 0 end) as purchase_days,
        min(case when days.purchased_on <= contacts.sent_on then days.purchased_on end) as first_purchase_on,
        max(case when days.purchased_on <= contacts.sent_on then days.purchased_on end) as last_purchase_on,
        max(case
            when
                days.purchased_on > contacts.sent_on
                and days.purchased_on <= {{ quanyu.add_days('contacts.sent_on', var('churn_save_days')) }}
                then 1
            else 0
        end) as has_bought
    from contacts
    cross join windows
    inner join {{ ref('int_value__purchase_days') }} as days
        on
            contacts.brand_id = days.brand_id
            and contacts.customer_key = days.customer_key
            and days.observation = 'as_of'
    where contacts.sent_on > windows.sent_after and contacts.sent_on <= windows.sent_to
    group by
        contacts.brand_id, contacts.campaign_id, contacts.customer_key, contacts.is_control, contacts.sent_on
),

overdue as (
    select
        trials.*,
        {{ quanyu.days_between('trials.last_purchase_on', 'trials.sent_on') }} / greatest(
            {{ quanyu.expected_cycle(
                quanyu.days_between('trials.first_purchase_on', 'trials.last_purchase_on'),
                'trials.purchase_days', 'cycles.cycle_days'
            ) }}, 1
        ) as overdue_ratio
    from trials
    inner join cycles on trials.brand_id = cycles.brand_id
    where trials.purchase_days > 0
),

banded as (
    select
        *,
        {{ quanyu.churn_band('overdue_ratio') }} as band
    from overdue
),

counted as (
    select
        brand_id,
        band,
        case when is_control then 'control' else 'contacted' end as test_group,
        count(*) as trials,
        sum(has_bought) as saved
    from banded
    where band in ('warning', 'churned')
    group by brand_id, band, is_control
),

churn_saves as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.band as {{ dbt.type_string() }}) as band,
        cast(counted.test_group as {{ dbt.type_string() }}) as test_group,
        windows.sent_after,
        windows.sent_to,
        cast(counted.trials as bigint) as trials,
        cast(counted.saved as bigint) as saved,
        cast(counted.saved as double) / counted.trials as saved_rate,
        cast(counted.saved as double) / counted.trials - cast(control.saved as double) / control.trials as uplift
    from counted
    cross join windows
    left join counted as control
        on
            counted.brand_id = control.brand_id
            and counted.band = control.band
            and counted.test_group = 'contacted'
            and control.test_group = 'control'
)

select * from churn_saves
order by brand_id, band, test_group
