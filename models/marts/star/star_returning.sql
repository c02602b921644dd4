-- Grain: one row per brand, period kind, period and layer on the day before it (`none`, `anonymous`, `all` included).
-- Why: R of STAR: what each layer was worth. The layer is that of the day before, so that buying does not make one a
--      buyer first: R4 would convert at 100 %.
-- Not here: an order whose refunds reach its amount by the period's end. `all` is known customers; orders that name
--           nobody, or a device alone, stand apart in `anonymous`, they are money and no buyer.
with periods as (
    select * from {{ ref('int_star__periods') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

period_days as (
    select
        periods.*,
        calendar.as_of_date
    from periods
    inner join {{ ref('int_stages__calendar') }} as calendar
        on
            periods.brand_id = calendar.brand_id
            and calendar.as_of_date between periods.starts_on and periods.last_on
),

-- The end is made a date first: an OR in the condition of a left join compares everybody with everybody.
spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = '{{ var("star_stage_model") }}'
),

refunds as (
    select
        source_system,
        order_id,
        refunded_on,
        refund_amount,
        is_linked,
        brand_id,
        customer_key
    from {{ ref('fct_refunds') }}
),

bought as (
    select
        period_days.period_key,
        period_days.brand_id,
        period_days.day_before,
        period_days.last_on,
        orders.source_system,
        orders.order_id,
        counted.customer_key,
        orders.channel,
        orders.valid_from as purchased_on,
        orders.paid_amount,
        orders.discount_amount
    from {{ ref('fct_orders') }} as orders
    inner join period_days
        on orders.brand_id = period_days.brand_id and orders.valid_from = period_days.as_of_date
    left join counted on orders.customer_key = counted.customer_key
    where orders.valid_to is null or orders.valid_to > period_days.last_on
),

refunded as (
    select
        bought.period_key,
        bought.source_system,
        bought.order_id,
        sum(refunds.refund_amount) as refunded_amount
    from bought
    inner join refunds
        on
            bought.source_system = refunds.source_system
            and bought.order_id = refunds.order_id
            and refunds.is_linked
            and bought.last_on >= refunds.refunded_on
    group by bought.period_key, bought.source_system, bought.order_id
),

-- Referred to the brand from the first invitation that was accepted.
invited as (
    select
        brand_id,
        invitee_key as customer_key,
        min(accepted_on) as accepted_on
    from {{ ref('fct_referrals') }}
    group by brand_id, invitee_key
),

placed as (
    select
        bought.*,
        case
            when bought.customer_key is null then -1
            else coalesce(spells.stage_rank, 0)
        end as rank_before,
        bought.paid_amount - coalesce(refunded.refunded_amount, 0) as net_amount,
        coalesce(invited.accepted_on <= bought.purchased_on, false) as is_referred
    from bought
    left join refunded
        on
            bought.period_key = refunded.period_key
            and bought.source_system = refunded.source_system
            and bought.order_id = refunded.order_id
    left join invited
        on bought.brand_id = invited.brand_id and bought.customer_key = invited.customer_key
    left join spells
        on
            bought.brand_id = spells.brand_id
            and bought.customer_key = spells.customer_key
            and bought.day_before >= spells.valid_from
            and bought.day_before < spells.valid_to
),

buyers as (
    select
        period_key,
        rank_before,
        customer_key,
        count(*) as order_count,
        count(distinct purchased_on) as purchase_days,
        sum(paid_amount) as gmv_amount,
        sum(net_amount) as net_amount,
        sum(discount_amount) as discount_amount,
        sum(case when is_referred then paid_amount else 0 end) as referred_amount,
        max(case when is_referred then 1 else 0 end) as is_referred
    from placed
    group by period_key, rank_before, customer_key
),

by_layer as (
    select
        period_key,
        rank_before,
        count(customer_key) as buyers,
        sum(case when customer_key is not null and purchase_days >= 2 then 1 else 0 end) as repeat_buyers,
        sum(order_count) as order_count,
        sum(gmv_amount) as gmv_amount,
        sum(net_amount) as net_amount,
        sum(discount_amount) as discount_amount,
        sum(referred_amount) as referred_amount,
        sum(case when customer_key is not null then is_referred else 0 end) as referred_buyers
    from buyers
    group by period_key, rank_before
),

channel_money as (
    select
        period_key,
        rank_before,
        coalesce(channel, 'unknown') as channel,
        sum(paid_amount) as gmv_amount
    from placed
    group by period_key, rank_before, coalesce(channel, 'unknown')
),

channel_money_with_all as (
    select
        period_key,
        rank_before,
        channel,
        gmv_amount
    from channel_money
    union all
    select
        period_key,
        99 as rank_before,
        channel,
        sum(gmv_amount) as gmv_amount
    from channel_money
    where rank_before >= 0
    group by period_key, channel
),

-- Squares of whole cents, so that the order of rows cannot move the last digit.
concentration as (
    select
        period_key,
        rank_before,
        sum(cast(round(gmv_amount * 100) as decimal(19, 0)) * cast(round(gmv_amount * 100) as decimal(19, 0)))
            as squares,
        sum(cast(round(gmv_amount * 100) as decimal(19, 0))) as cents
    from channel_money_with_all
    group by period_key, rank_before
),

{% set measures = [
    'buyers', 'repeat_buyers', 'order_count', 'gmv_amount', 'net_amount', 'discount_amount', 'referred_buyers',
    'referred_amount',
] -%}
ranks as (
    select
        stage as layer,
        {{ adapter.quote('rank') }} as rank_before
    from {{ ref('stages') }}
    where model = '{{ var("star_stage_model") }}'
    union all
    select
        'none' as layer,
        0 as rank_before
    union all
    select
        'anonymous' as layer,
        -1 as rank_before
),

stocks as (
    select
        periods.period_key,
        daily.stage_rank,
        daily.customers
    from periods
    inner join {{ ref('int_stages__daily') }} as daily
        on periods.brand_id = daily.brand_id and periods.day_before = daily.as_of_date
    where daily.model = '{{ var("star_stage_model") }}'
),

layers as (
    select
        periods.period_key,
        ranks.layer,
        ranks.rank_before,
        case when ranks.rank_before > 0 then coalesce(stocks.customers, 0) end as layer_customers,
        {%- for measure in measures %}
        coalesce(by_layer.{{ measure }}, 0) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from periods
    cross join ranks
    left join by_layer on periods.period_key = by_layer.period_key and ranks.rank_before = by_layer.rank_before
    left join stocks on periods.period_key = stocks.period_key and ranks.rank_before = stocks.stage_rank
),

with_all as (
    select * from layers
    union all
    select
        period_key,
        'all' as layer,
        99 as rank_before,
        sum(layer_customers) as layer_customers,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from layers
    where rank_before >= 0
    group by period_key
),

-- Money given back in the period, whenever it was paid.
given_back as (
    select
        period_days.period_key,
        sum(refunds.refund_amount) as refund_amount
    from refunds
    inner join period_days
        on refunds.brand_id = period_days.brand_id and refunds.refunded_on = period_days.as_of_date
    group by period_days.period_key
),

star_returning as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(with_all.layer as {{ dbt.type_string() }}) as layer,
        periods.starts_on,
        periods.last_on,
        periods.is_complete,
        cast(with_all.layer_customers as bigint) as layer_customers,
        cast(with_all.buyers as bigint) as buyers,
        cast(with_all.repeat_buyers as bigint) as repeat_buyers,
        cast(with_all.order_count as bigint) as order_count,
        cast(with_all.gmv_amount as decimal(18, 4)) as gmv_amount,
        cast(with_all.net_amount as decimal(18, 4)) as net_amount,
        cast(with_all.discount_amount as decimal(18, 4)) as discount_amount,
        cast(
            case when with_all.layer = 'all' then coalesce(given_back.refund_amount, 0) end as decimal(18, 4)
        ) as refund_amount,
        cast(with_all.referred_buyers as bigint) as referred_buyers,
        cast(with_all.referred_amount as decimal(18, 4)) as referred_amount,
        -- Of `all` the buyers from outside 5R and their money are no part of its base.
        cast(
            case when with_all.layer = 'all' then with_all.buyers - outside.buyers else with_all.buyers end * 1.0
            / nullif(with_all.layer_customers, 0) as double
        ) as conversion_rate,
        cast(cast(with_all.gmv_amount as double) / nullif(with_all.buyers, 0) as double) as amount_per_buyer,
        cast(cast(with_all.gmv_amount as double) / nullif(with_all.order_count, 0) as double) as amount_per_order,
        cast(with_all.order_count * 1.0 / nullif(with_all.buyers, 0) as double) as orders_per_buyer,
        cast(with_all.repeat_buyers * 1.0 / nullif(with_all.buyers, 0) as double) as repurchase_rate,
        cast(
            cast(
                case when with_all.layer = 'all' then with_all.gmv_amount - outside.gmv_amount else with_all.gmv_amount end
                as double
            ) / nullif(with_all.layer_customers, 0) as double
        ) as amount_per_layer_customer,
        cast(
            cast(with_all.gmv_amount as double)
            / nullif(cast(case when with_all.layer = 'all' then with_all.gmv_amount else totals.gmv_amount end as double), 0)
            as double
        ) as gmv_share,
        cast(cast(with_all.referred_amount as double) / nullif(cast(with_all.gmv_amount as double), 0) as double)
            as referred_share,
        cast(
            cast(concentration.squares as double)
            / nullif(cast(concentration.cents as double) * cast(concentration.cents as double), 0) as double
        ) as gmv_channel_hhi
    from with_all
    inner join periods on with_all.period_key = periods.period_key
    left join layers as outside on with_all.period_key = outside.period_key and outside.layer = 'none'
    left join with_all as totals on with_all.period_key = totals.period_key and totals.layer = 'all'
    left join concentration
        on with_all.period_key = concentration.period_key and with_all.rank_before = concentration.rank_before
    left join given_back on with_all.period_key = given_back.period_key
)

select * from star_returning
order by brand_id, period_kind, period_id, layer
