-- Grain: one row per fit, brand, bg_frequency, bg_age and horizon (days ahead).
-- Why: purchase days that a customer who is still alive is expected to make. It depends on these alone, so the series
--      runs on thousands of rows and not on millions of customers.
-- Not here: the chance of being alive.
--
-- E[Y(t) | alive] = C/(a-1) (1 - (1-z)^(r+x) 2F1(r+x, b+x; C; z)), C = a+b+x-1, z = t/(alpha+T+t). Summed as it
-- stands (`is_direct`) it divides by zero at a = 1. So Euler's transformation is used where its terms neither grow nor
-- alternate, (1-z)^(a-1) 2F1(a-1, a+b-1-r; C; z), with its first term and the factor a-1 taken out of the sum, which
-- removes the singularities at a = 1 and at C = 0:
--     E = C (1 - e^u)/(a-1) - e^u S,  u = (a-1) ln(1-z),  S = sum over k >= 1 of e_k z^k,
--     e_1 = a+b-1-r,  e_(k+1) = e_k (a+k-1)(a+b-1-r+k) / ((C+k)(k+1)).
-- The coefficients of both depend on x only. The number of terms follows from z and from x or a (clv_terms): what is
-- left out is below 1e-15 of the sum, for a customer of today (z near 1) as for one of ten years.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with models as (
    select * from {{ ref('int_clv__models') }}
),

histories as (
    select distinct
        fit_name,
        brand_id,
        bg_frequency,
        bg_age
    from {{ ref('int_clv__frequency_groups') }}
),

horizons as (
    {%- for days in quanyu.clv_horizons() %}
    select
        'as_of' as fit_name,
        {{ days }} as horizon_days
    union all
    {%- endfor %}
    select
        'calibration' as fit_name,
        {{ var('clv_holdout_days') }} as horizon_days
),

points as (
    select
        histories.fit_name,
        histories.brand_id,
        histories.bg_frequency,
        histories.bg_age,
        horizons.horizon_days,
        models.a,
        models.r + histories.bg_frequency as purchase_shape,
        {{ quanyu.clv_is_direct('models.r', 'models.a', 'models.b', 'histories.bg_frequency') }} as is_direct,
        models.a + models.b + histories.bg_frequency - 1 as c,
        horizons.horizon_days / (models.alpha + histories.bg_age + horizons.horizon_days) as z,
        ln((models.alpha + histories.bg_age) / (models.alpha + histories.bg_age + horizons.horizon_days))
            as log_rest
    from histories
    inner join models on histories.fit_name = models.fit_name and histories.brand_id = models.brand_id
    inner join horizons on histories.fit_name = horizons.fit_name
),

counted as (
    select
        *,
        least(32768, {{ quanyu.clv_terms('case when is_direct then purchase_shape else a end', 'z') }}) as terms
    from points
),

-- A point reads coefficients of its own size class, so that the few long series are not carried by all points.
sized as (
    select
        *,
        case
            {%- for size in [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384] %}
            when terms <= {{ size }} then {{ size }}
            {%- endfor %}
            else 32768
        end as size_class
    from counted
),

lengths as (
    select
        fit_name,
        brand_id,
        bg_frequency,
        size_class,
        max(terms) as length
    from sized
    group by fit_name, brand_id, bg_frequency, size_class
),

longest as (
    select
        fit_name,
        brand_id,
        bg_frequency,
        max(length) as length
    from lengths
    group by fit_name, brand_id, bg_frequency
),

numbers as (
    {{ quanyu.whole_numbers(1, 32768) }}
),

-- Ratio of coefficient k to the one before it; the first one stands by itself.
ratios as (
    select
        longest.fit_name,
        longest.brand_id,
        longest.bg_frequency,
        numbers.n as k,
        case
            when {{ quanyu.clv_is_direct('models.r', 'models.a', 'models.b', 'longest.bg_frequency') }}
                then
                    (models.r + longest.bg_frequency + numbers.n - 1)
                    * (models.b + longest.bg_frequency + numbers.n - 1)
                    / ((models.a + models.b + longest.bg_frequency - 2 + numbers.n) * numbers.n)
            when numbers.n = 1 then models.a + models.b - 1 - models.r
            else
                (models.a + numbers.n - 2) * (models.a + models.b - 2 - models.r + numbers.n)
                / ((models.a + models.b + longest.bg_frequency - 2 + numbers.n) * numbers.n)
        end as ratio
    from longest
    inner join models on longest.fit_name = models.fit_name and longest.brand_id = models.brand_id
    inner join numbers on longest.length >= numbers.n
),

coefficients as (
    select
        fit_name,
        brand_id,
        bg_frequency,
        k,
        case
            when max(case when ratio = 0 then 1 else 0 end) over so_far = 1 then 0
            else
                exp(sum(ln(abs(nullif(ratio, 0)))) over so_far)
                * (1 - 2 * (sum(case when ratio < 0 then 1 else 0 end) over so_far % 2))
        end as coefficient
    from ratios
    window so_far as (
        partition by fit_name, brand_id, bg_frequency order by k
        rows between unbounded preceding and current row
    )
),

series as (
    select
        lengths.fit_name,
        lengths.brand_id,
        lengths.bg_frequency,
        lengths.size_class,
        {{ quanyu.ordered_list('coefficients.coefficient', 'coefficients.k') }} as coefficients
    from lengths
    inner join coefficients
        on
            lengths.fit_name = coefficients.fit_name
            and lengths.brand_id = coefficients.brand_id
            and lengths.bg_frequency = coefficients.bg_frequency
            and lengths.length >= coefficients.k
    group by lengths.fit_name, lengths.brand_id, lengths.bg_frequency, lengths.size_class
),

summed as (
    select
        sized.*,
        (sized.a - 1) * sized.log_rest as u,
        {{ quanyu.power_series('series.coefficients', 'sized.z', 'sized.terms') }} as series_sum
    from sized
    inner join series
        on
            sized.fit_name = series.fit_name
            and sized.brand_id = series.brand_id
            and sized.bg_frequency = series.bg_frequency
            and sized.size_class = series.size_class
),

int_clv__expected_orders as (
    select
        fit_name,
        brand_id,
        bg_frequency,
        bg_age,
        horizon_days,
        terms,
        case
            when is_direct then c / (a - 1) * (1 - exp(purchase_shape * log_rest) * (1 + series_sum))
            when abs(u) < 1e-4 then c * -log_rest * (1 + u / 2 + u * u / 6) - exp(u) * series_sum
            else c * (1 - exp(u)) / (a - 1) - exp(u) * series_sum
        end as expected_orders_if_alive
    from summed
)

select * from int_clv__expected_orders
