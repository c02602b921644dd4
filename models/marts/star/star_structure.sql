-- Grain: one row per brand, period kind, period, layer (`all` included), dimension and value.
-- Why: T of STAR: who the people of each layer are at the period's end: sex, age, region, spending, channel of first
--      contact, member, reachable, buyer, repeat buyer. The values of a dimension add up to the layer.
-- Not here: people in no layer, whom nobody can count.
with periods as (
    select
        *,
        {{ quanyu.day_number('last_on') }} as last_day
    from {{ ref('int_star__periods') }}
),

spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('int_stages__spells') }}
    where model = '{{ var("star_stage_model") }}'
),

people as (
    select
        customer_key,
        coalesce(gender, 'unknown') as gender,
        coalesce(province, 'unknown') as region,
        birth_date
    from {{ ref('dim_customers') }}
),

-- What holds for a customer from one day to another. Days start at 0 where no beginning is known.
ages as (
    select
        people.customer_key,
        bands.age_band,
        {{ quanyu.day_number('cast(' ~ dbt.dateadd('year', 'bands.from_age', 'people.birth_date') ~ ' as date)') }} as from_day,
        coalesce(
            {{ quanyu.day_number('cast(' ~ dbt.dateadd('year', 'bands.below_age', 'people.birth_date') ~ ' as date)') }}, {{ quanyu.far_day() }}
        ) as to_day
    from people
    cross join {{ ref('star_age_bands') }} as bands
    where people.birth_date is not null
),

purchase_turns as (
    select
        brand_id,
        customer_key,
        {{ quanyu.day_number('activity_date') }} as day,
        1 as change
    from {{ ref('customer_day') }}
    where purchase_valid_to is not null
    union all
    select
        brand_id,
        customer_key,
        {{ quanyu.day_number('purchase_valid_to') }} as day,
        -1 as change
    from {{ ref('customer_day') }}
    where purchase_valid_to < {{ quanyu.far_date() }}
),

purchase_days as (
    select
        brand_id,
        customer_key,
        day as from_day,
        lead(day, 1, {{ quanyu.far_day() }}) over (partition by brand_id, customer_key order by day) as to_day,
        sum(sum(change)) over (
            partition by brand_id, customer_key order by day
            rows between unbounded preceding and current row
        ) as purchase_days
    from purchase_turns
    group by brand_id, customer_key, day
),

-- Money of the orders of the last 365 days, each less its refunds so far, never below nothing.
refunds_so_far as (
    select
        orders.source_system,
        orders.order_id,
        refunds.refunded_on,
        sum(sum(refunds.refund_amount)) over (
            partition by orders.source_system, orders.order_id order by refunds.refunded_on
            rows between unbounded preceding and current row
        ) as refunded_amount
    from {{ ref('fct_refunds') }} as refunds
    inner join {{ ref('fct_orders') }} as orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
    where refunds.is_linked and orders.valid_from is not null
    group by orders.source_system, orders.order_id, refunds.refunded_on
),

order_values as (
    select
        orders.brand_id,
        orders.customer_key,
        orders.source_system,
        orders.order_id,
        {{ quanyu.day_number('orders.valid_from') }} as bought_day,
        {{ quanyu.day_number('orders.valid_from') }} as day,
        orders.paid_amount as amount
    from {{ ref('fct_orders') }} as orders
    where
        orders.customer_key is not null
        and orders.valid_from <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
    union all
    select
        orders.brand_id,
        orders.customer_key,
        orders.source_system,
        orders.order_id,
        {{ quanyu.day_number('orders.valid_from') }} as bought_day,
        greatest(
            {{ quanyu.day_number('orders.valid_from') }}, {{ quanyu.day_number('refunds_so_far.refunded_on') }}
        ) as day,
        greatest(orders.paid_amount - refunds_so_far.refunded_amount, 0) as amount
    from {{ ref('fct_orders') }} as orders
    inner join refunds_so_far
        on orders.source_system = refunds_so_far.source_system and orders.order_id = refunds_so_far.order_id
    where
        orders.customer_key is not null
        and {{ quanyu.day_number('refunds_so_far.refunded_on') }}
        < {{ quanyu.day_number('orders.valid_from') }} + {{ var('rfm_window_days') }}
),

order_steps as (
    select
        brand_id,
        customer_key,
        source_system,
        order_id,
        bought_day,
        day,
        min(amount) as amount
    from order_values
    group by brand_id, customer_key, source_system, order_id, bought_day, day
),

money_turns as (
    select
        brand_id,
        customer_key,
        day,
        amount - coalesce(lag(amount) over (partition by source_system, order_id order by day), 0) as change
    from order_steps
    union all
    select
        brand_id,
        customer_key,
        bought_day + {{ var('rfm_window_days') }} as day,
        -min(amount) as change
    from order_steps
    group by brand_id, customer_key, source_system, order_id, bought_day
),

money_days as (
    select
        brand_id,
        customer_key,
        day as from_day,
        lead(day, 1, {{ quanyu.far_day() }}) over (partition by brand_id, customer_key order by day) as to_day,
        sum(sum(change)) over (
            partition by brand_id, customer_key order by day
            rows between unbounded preceding and current row
        ) as amount
    from money_turns
    group by brand_id, customer_key, day
),

{% set scheme_of_money = 'custom' if var('rfm_scheme') == 'custom' else 'fixed' -%}
breakpoints as (
    select
        brands.brand_id,
        breakpoints.score,
        breakpoints.above,
        breakpoints.up_to
    from (select distinct periods.brand_id from periods) as brands
    inner join {{ ref('rfm_breakpoints') }} as breakpoints
        on
            breakpoints.scheme = '{{ scheme_of_money }}'
            and breakpoints.measure = 'monetary'
            and (breakpoints.brand_id = '*' or brands.brand_id = breakpoints.brand_id)
    qualify rank() over (
        partition by brands.brand_id order by case when breakpoints.brand_id = '*' then 1 else 0 end
    ) = 1
),

traits as (
    select
        brand_id,
        customer_key,
        asset as dimension,
        'yes' as trait,
        from_day,
        to_day
    from {{ ref('int_star__asset_stays') }}
    where asset in ('member', 'reachable')
    union all
    select
        brand_id,
        customer_key,
        'buyer' as dimension,
        'yes' as trait,
        from_day,
        to_day
    from purchase_days
    where purchase_days >= 1
    union all
    select
        brand_id,
        customer_key,
        'repeat_buyer' as dimension,
        'yes' as trait,
        from_day,
        to_day
    from purchase_days
    where purchase_days >= 2
    union all
    select
        money_days.brand_id,
        money_days.customer_key,
        'spending' as dimension,
        'tier ' || cast(breakpoints.score as {{ dbt.type_string() }}) as trait,
        money_days.from_day,
        money_days.to_day
    from money_days
    inner join breakpoints
        on
            money_days.brand_id = breakpoints.brand_id
            and (breakpoints.above is null or money_days.amount > breakpoints.above)
            and (breakpoints.up_to is null or money_days.amount <= breakpoints.up_to)
    where money_days.amount > 0
),

-- Days on which the layer and the trait held together, as changes of a count.
held_together as (
    select
        spells.brand_id,
        spells.stage_rank,
        traits.dimension,
        traits.trait,
        greatest(spells.from_day, traits.from_day) as from_day,
        least(spells.to_day, traits.to_day) as to_day
    from spells
    inner join traits
        on
            spells.brand_id = traits.brand_id
            and spells.customer_key = traits.customer_key
            and spells.from_day < traits.to_day
            and spells.to_day > traits.from_day
    union all
    select
        spells.brand_id,
        spells.stage_rank,
        'age' as dimension,
        ages.age_band as trait,
        greatest(spells.from_day, ages.from_day) as from_day,
        least(spells.to_day, ages.to_day) as to_day
    from spells
    inner join ages
        on
            spells.customer_key = ages.customer_key
            and spells.from_day < ages.to_day
            and spells.to_day > ages.from_day
    {%- for dimension in ['gender', 'region'] %}
    union all
    select
        spells.brand_id,
        spells.stage_rank,
        '{{ dimension }}' as dimension,
        coalesce(people.{{ dimension }}, 'unknown') as trait,
        spells.from_day,
        spells.to_day
    from spells
    left join people on spells.customer_key = people.customer_key
    {%- endfor %}
    union all
    select
        spells.brand_id,
        spells.stage_rank,
        'channel' as dimension,
        coalesce(origins.acquisition_channel, 'unknown') as trait,
        spells.from_day,
        spells.to_day
    from spells
    left join {{ ref('int_stages__origins') }} as origins
        on spells.brand_id = origins.brand_id and spells.customer_key = origins.customer_key
),

changes as (
    select
        brand_id,
        stage_rank,
        dimension,
        trait,
        from_day as day,
        count(*) as change
    from held_together
    group by brand_id, stage_rank, dimension, trait, from_day
    union all
    select
        brand_id,
        stage_rank,
        dimension,
        trait,
        to_day as day,
        -count(*) as change
    from held_together
    where to_day < {{ quanyu.far_day() }}
    group by brand_id, stage_rank, dimension, trait, to_day
),

-- The running count is read on the last day of each period, so all changes since the last such day are added up first.
last_days as (
    select distinct
        brand_id,
        last_day
    from periods
),

read_days as (
    select
        calendar.brand_id,
        calendar.day,
        min(last_days.last_day) as last_day
    from (
        select
            brand_id,
            {{ quanyu.day_number('as_of_date') }} as day
        from {{ ref('int_stages__calendar') }}
    ) as calendar
    inner join last_days on calendar.brand_id = last_days.brand_id and calendar.day <= last_days.last_day
    group by calendar.brand_id, calendar.day
),

steps as (
    select
        changes.brand_id,
        changes.stage_rank,
        changes.dimension,
        changes.trait,
        read_days.last_day,
        sum(changes.change) as change
    from changes
    inner join read_days on changes.brand_id = read_days.brand_id and changes.day = read_days.day
    group by changes.brand_id, changes.stage_rank, changes.dimension, changes.trait, read_days.last_day
),

running as (
    select
        kinds.brand_id,
        kinds.stage_rank,
        kinds.dimension,
        kinds.trait,
        kinds.last_day,
        sum(coalesce(steps.change, 0)) over (
            partition by kinds.brand_id, kinds.stage_rank, kinds.dimension, kinds.trait order by kinds.last_day
            rows between unbounded preceding and current row
        ) as customers
    from (
        select
            found.*,
            last_days.last_day
        from (
            select distinct
                brand_id,
                stage_rank,
                dimension,
                trait
            from steps
        ) as found
        inner join last_days on found.brand_id = last_days.brand_id
    ) as kinds
    left join steps
        on
            kinds.brand_id = steps.brand_id
            and kinds.stage_rank = steps.stage_rank
            and kinds.dimension = steps.dimension
            and kinds.trait = steps.trait
            and kinds.last_day = steps.last_day
),

stocks as (
    select
        periods.period_key,
        daily.stage_rank,
        daily.customers
    from periods
    inner join {{ ref('int_stages__daily') }} as daily
        on periods.brand_id = daily.brand_id and periods.last_on = daily.as_of_date
    where daily.model = '{{ var("star_stage_model") }}' and daily.customers > 0
),

known as (
    select
        periods.period_key,
        running.stage_rank,
        running.dimension,
        running.trait,
        running.customers
    from running
    inner join periods on running.brand_id = periods.brand_id and running.last_day = periods.last_day
    where running.customers > 0
),

-- Dimensions that name only some of the people: the rest are told by a value of their own.
rest as (
    select
        stocks.period_key,
        stocks.stage_rank,
        dimensions.dimension,
        dimensions.trait,
        stocks.customers - coalesce(sum(known.customers), 0) as customers
    from stocks
    cross join (
        {%- for dimension, trait in {
            'member': 'no', 'reachable': 'no', 'buyer': 'no', 'repeat_buyer': 'no', 'spending': 'tier 0', 'age': 'unknown'
        }.items() %}
        select
            '{{ dimension }}' as dimension,
            '{{ trait }}' as trait
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as dimensions
    left join known
        on
            stocks.period_key = known.period_key
            and stocks.stage_rank = known.stage_rank
            and dimensions.dimension = known.dimension
    group by stocks.period_key, stocks.stage_rank, dimensions.dimension, dimensions.trait, stocks.customers
),

by_layer as (
    select
        period_key,
        stage_rank,
        dimension,
        trait,
        customers
    from known
    union all
    select * from rest
    where customers > 0
),

with_all as (
    select
        by_layer.period_key,
        stages.stage as layer,
        by_layer.dimension,
        by_layer.trait,
        by_layer.customers
    from by_layer
    inner join {{ ref('stages') }} as stages
        on
            stages.model = '{{ var("star_stage_model") }}'
            and by_layer.stage_rank = stages.{{ adapter.quote('rank') }}
    union all
    select
        period_key,
        'all' as layer,
        dimension,
        trait,
        sum(customers) as customers
    from by_layer
    group by period_key, dimension, trait
),

star_structure as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(with_all.layer as {{ dbt.type_string() }}) as layer,
        cast(with_all.dimension as {{ dbt.type_string() }}) as dimension,
        cast(with_all.trait as {{ dbt.type_string() }}) as value,
        periods.last_on,
        periods.is_complete,
        cast(with_all.customers as bigint) as customers,
        cast(sum(with_all.customers) over (
            partition by with_all.period_key, with_all.layer, with_all.dimension
        ) as bigint) as layer_customers,
        cast(with_all.customers * 1.0 / sum(with_all.customers) over (
            partition by with_all.period_key, with_all.layer, with_all.dimension
        ) as double) as share
    from with_all
    inner join periods on with_all.period_key = periods.period_key
)

select * from star_structure
order by brand_id, period_kind, period_id, layer, dimension, value
