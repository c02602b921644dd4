-- Grain: one row per brand with a purchase.
-- Why: the one place that says whether CLV of the models is published, and if not, why not.
-- Not here: the figures of the back-test (clv_backtest).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with fits as (
    select
        brand_id,
        max(case when fit_name = 'as_of' and model_name = 'bg_nbd' then repeat_customers end) as repeat_customers,
        min(case when fit_name = 'as_of' and not is_converged then 0 else 1 end) = 1 as is_converged,
        min(case when fit_name = 'calibration' and not is_converged then 0 else 1 end) = 1 as is_calibration_converged,
        max(case when fit_name = 'as_of' and parameter = 'q' then value end) as q
    from {{ ref('int_clv__fits') }}
    group by brand_id
),

backtests as (
    select
        brand_id,
        is_passed
    from {{ ref('clv_backtest') }}
    where level = 'all'
),

-- Days of history in cycles of the brand: a fit on less than two has seen few come back.
histories as (
    select
        groups.brand_id,
        {{ quanyu.days_between('min(groups.first_purchase_on)', 'max(groups.observation_date)') }}
        / greatest(max(observations.cycle_days), 1) as cycles_seen
    from {{ ref('int_clv__frequency_groups') }} as groups
    inner join {{ ref('int_value__observations') }} as observations
        on groups.brand_id = observations.brand_id and observations.observation = 'as_of'
    where groups.fit_name = 'as_of'
    group by groups.brand_id
),

reasoned as (
    select
        fits.brand_id,
        case
            when fits.repeat_customers < {{ var('clv_min_repeat_buyers') }} then 'too few repeat buyers'
            when histories.cycles_seen < {{ var('clv_min_cycles') }} then 'history too short'
            when not fits.is_converged then 'fit did not converge'
            when fits.q <= 1 then 'mean order value has no limit (q <= 1)'
            when backtests.brand_id is null then 'no back-test: too few repeat buyers before the hold-out'
            when not backtests.is_passed then 'back-test failed'
            when not fits.is_calibration_converged then 'back-test failed: its fit did not converge'
        end as not_used_reason
    from fits
    left join histories on fits.brand_id = histories.brand_id
    left join backtests on fits.brand_id = backtests.brand_id
),

int_clv__gate as (
    select
        brand_id,
        not_used_reason is null as is_model_used,
        not_used_reason
    from reasoned
)

select * from int_clv__gate
