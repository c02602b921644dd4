-- Grain: one row per brand and customer who registered or joined as a member.
-- Why: when and where a person became a registered customer of the brand, and when they were activated.
-- Not here: anonymous visitors.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

events as (
    select
        scopes.brand_id,
        days.customer_key,
        days.activity_date as registered_on,
        0 as source_rank,
        scopes.channel
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key
    where days.is_registration and days.is_counted and scopes.channel <> 'all'
    union all
    select
        spells.brand_id,
        spells.customer_key,
        spells.valid_from as registered_on,
        1 as source_rank,
        coalesce(spells.join_channel, 'unknown') as channel
    from {{ ref('fct_membership_spells') }} as spells
    inner join customers on spells.customer_key = customers.customer_key
),

registrations as (
    select
        brand_id,
        customer_key,
        registered_on,
        channel
    from events
    qualify row_number() over (
        partition by brand_id, customer_key order by registered_on, source_rank, channel
    ) = 1
),

activations as (
    select
        registrations.brand_id,
        registrations.customer_key,
        min(days.activity_date) as activated_on
    from registrations
    inner join scopes on registrations.brand_id = scopes.brand_id and scopes.channel = 'all'
    inner join {{ ref('int_growth__channel_days') }} as days
        on
            scopes.scope_key = days.scope_key
            and registrations.customer_key = days.customer_key
            and registrations.registered_on <= days.activity_date
    where days.order_count > 0 or days.is_benefit_use
    group by registrations.brand_id, registrations.customer_key
),

int_growth__registrations as (
    select
        registrations.brand_id,
        registrations.customer_key,
        registrations.registered_on,
        registrations.channel,
        scopes.scope_key,
        scopes.brand_scope_key,
        -- First valuable act: a valid purchase or a benefit used, on the day of registration or after it.
        activations.activated_on
    from registrations
    inner join scopes
        on registrations.brand_id = scopes.brand_id and registrations.channel = scopes.channel
    left join activations
        on
            registrations.brand_id = activations.brand_id
            and registrations.customer_key = activations.customer_key
)

select * from int_growth__registrations
