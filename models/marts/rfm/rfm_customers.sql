-- Grain: one row per as-of date, brand, scope and customer with a valid purchase in the window.
-- Why: recency, frequency and money of every buyer as they stood at each month end and at the as-of date, scored
--      without ever cutting a tie, and the class they make.
-- Not here: buyers whose last valid purchase is older than the window; they would distort the means.
with observations as (
    select * from {{ ref('int_rfm__observation_dates') }}
),

-- The rows of a population are put in the order of the public id, and numbers are much cheaper to sort by.
customers as (
    select
        customer_key,
        customer_id,
        row_number() over (order by customer_id) as customer_number
    from (
        {{ quanyu.counted_customers() }}
    ) as counted
),

purchases as (
    {{ quanyu.valid_purchases('observations', window_days=var('rfm_window_days')) }}
),

channel_purchases as (
    select
        observation_date as as_of_date,
        brand_id,
        customer_key,
        channel,
        channel_domain,
        max(purchased_on) as last_purchase_on,
        count(*) as frequency,
        sum(net_amount) as net_amount
    from purchases
    group by observation_date, brand_id, customer_key, channel, channel_domain
),

scoped_purchases as (
    select
        *,
        'all' as scope
    from channel_purchases
    union all
    select
        *,
        case when channel_domain = 'offline' then 'offline' else 'online' end as scope
    from channel_purchases
    where channel_domain in ('public', 'private', 'offline')
),

-- A refund without an order has no channel, so it lowers the money of the scope `all` alone.
unlinked_refunds as (
    select
        observations.observation_date as as_of_date,
        refunds.brand_id,
        refunds.customer_key,
        'all' as scope,
        sum(refunds.refund_amount) as refund_amount
    from {{ ref('fct_refunds') }} as refunds
    inner join observations
        on
            refunds.refunded_on <= observations.observation_date
            and refunds.refunded_on > {{ quanyu.add_days('observations.observation_date', -var('rfm_window_days')) }}
    where not refunds.is_linked and refunds.customer_key is not null
    group by observations.observation_date, refunds.brand_id, refunds.customer_key
),

measured as (
    select
        as_of_date,
        brand_id,
        scope,
        customer_key,
        max(last_purchase_on) as last_purchase_on,
        sum(frequency) as frequency,
        sum(net_amount) as net_amount
    from scoped_purchases
    group by as_of_date, brand_id, scope, customer_key
    union all
    -- A channel has one domain, so its purchases are added up already.
    select
        as_of_date,
        brand_id,
        concat('platform:', channel) as scope,
        customer_key,
        last_purchase_on,
        frequency,
        net_amount
    from channel_purchases
    where channel_domain in ('public', 'private', 'offline')
),

netted as (
    select
        measured.as_of_date,
        measured.brand_id,
        measured.scope,
        measured.customer_key,
        measured.last_purchase_on,
        {{ quanyu.days_between('measured.last_purchase_on', 'measured.as_of_date') }} as recency_days,
        measured.frequency,
        measured.net_amount - coalesce(unlinked_refunds.refund_amount, 0) as monetary_amount
    from measured
    left join unlinked_refunds
        on
            measured.as_of_date = unlinked_refunds.as_of_date
            and measured.brand_id = unlinked_refunds.brand_id
            and measured.scope = unlinked_refunds.scope
            and measured.customer_key = unlinked_refunds.customer_key
),

-- Numbered in the order of the rows: what is compared for every customer is one number instead of a day and two names.
populations as (
    select
        as_of_date,
        brand_id,
        scope,
        count(*) as customers,
        row_number() over (order by as_of_date, brand_id, scope) as population_number
    from netted
    group by as_of_date, brand_id, scope
),

numbered as (
    select
        netted.*,
        populations.customers,
        populations.population_number
    from netted
    inner join populations
        on
            netted.as_of_date = populations.as_of_date
            and netted.brand_id = populations.brand_id
            and netted.scope = populations.scope
),

{{ quanyu.rfm_scored('numbered') }},

-- High means at or above the mean score of the brand and scope; compared in whole numbers, so that a mean
-- which equals the score is never missed by a rounding. A sum per population is much cheaper than a window over it.
score_sums as (
    select
        population_number,
        sum(r_score) as r_scores,
        sum(f_score) as f_scores,
        sum(m_score) as m_scores
    from scored
    group by population_number
),

rated as (
    select
        scored.*,
        scored.r_score * scored.customers >= score_sums.r_scores as is_r_high,
        scored.f_score * scored.customers >= score_sums.f_scores as is_f_high,
        scored.m_score * scored.customers >= score_sums.m_scores as is_m_high
    from scored
    inner join score_sums on scored.population_number = score_sums.population_number
),

coded as (
    select
        *,
        concat(
            case when is_r_high then '1' else '0' end,
            case when is_f_high then '1' else '0' end,
            case when is_m_high then '1' else '0' end
        ) as rfm_code
    from rated
)

select
    coded.as_of_date,
    observations.is_as_of,
    cast(coded.brand_id as {{ dbt.type_string() }}) as brand_id,
    cast(coded.scope as {{ dbt.type_string() }}) as scope,
    cast(customers.customer_id as {{ dbt.type_string() }}) as customer_id,
    coded.last_purchase_on,
    cast(coded.recency_days as integer) as recency_days,
    cast(coded.frequency as integer) as frequency,
    cast(coded.monetary_amount as decimal(18, 4)) as monetary_amount,
    cast(coded.r_score as integer) as r_score,
    cast(coded.f_score as integer) as f_score,
    cast(coded.m_score as integer) as m_score,
    coded.is_r_high,
    coded.is_f_high,
    coded.is_m_high,
    cast(coded.rfm_code as {{ dbt.type_string() }}) as rfm_code,
    cast(classes.rfm_class as {{ dbt.type_string() }}) as rfm_class,
    cast(classes.rfm_class_en as {{ dbt.type_string() }}) as rfm_class_en,
    cast('{{ var("rfm_scheme") }}' as {{ dbt.type_string() }}) as rfm_scheme
from coded
inner join customers on coded.customer_key = customers.customer_key
inner join observations on coded.as_of_date = observations.observation_date
left join {{ ref('rfm_classes') }} as classes on coded.rfm_code = classes.rfm_code
order by coded.population_number, customers.customer_number
