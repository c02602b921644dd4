-- Grain: one row per brand, model (bg_nbd, gamma_gamma) and parameter.
-- Why: what the CLV models were fitted to and whether the fit is published. alpha is in days, v in the brand's currency.
-- Not here: the fit of the back-test's calibration; past as-of dates (rebuild with the var as_of_date).
with fits as (
    select * from {{ ref('int_clv__fits') }}
    where fit_name = 'as_of'
),

windows as (
    select
        brand_id,
        min(first_purchase_on) as window_from,
        max(observation_date) as window_to
    from {{ ref('int_clv__frequency_groups') }}
    where fit_name = 'as_of'
    group by brand_id
),

gate as (
    select * from {{ ref('int_clv__gate') }}
),

clv_parameters as (
    select
        cast(fits.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(fits.model_name as {{ dbt.type_string() }}) as model_name,
        cast(fits.parameter as {{ dbt.type_string() }}) as parameter,
        cast(fits.value as double) as value,
        cast(fits.log_likelihood as double) as log_likelihood,
        cast(windows.window_from as date) as window_from,
        cast(windows.window_to as date) as window_to,
        cast(fits.customers as bigint) as customers,
        cast(fits.repeat_customers as bigint) as repeat_customers,
        cast(fits.iterations as integer) as iterations,
        cast(fits.slope as double) as slope,
        fits.is_converged,
        cast(fits.spend_frequency_correlation as double) as spend_frequency_correlation,
        abs(fits.spend_frequency_correlation) <= {{ var('clv_max_spend_correlation') }} as is_spend_independent,
        gate.is_model_used,
        cast(gate.not_used_reason as {{ dbt.type_string() }}) as not_used_reason,
        cast('{{ var("clv_model_version") }}' as {{ dbt.type_string() }}) as model_version
    from fits
    inner join windows on fits.brand_id = windows.brand_id
    inner join gate on fits.brand_id = gate.brand_id
)

select * from clv_parameters
order by brand_id, model_name, parameter
