-- Grain: one row per brand, customer, reach channel and unbroken time in which the customer can be reached by it.
-- Why: who can be reached by what on day d: valid_from <= d and (valid_to is null or d < valid_to). The channels `any`
--      and `two_or_more` are those of the private domain together.
-- Not here: any sign of consent that fct_consent_spells, by which exports are gated, does not know; members, who are no channel.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with customers as (
    {{ quanyu.counted_customers() }}
),

spells as (
    select
        consents.brand_id,
        consents.customer_key,
        consents.channel as reach_channel,
        consents.valid_from,
        consents.valid_to
    from {{ ref('fct_consent_spells') }} as consents
    inner join customers on consents.customer_key = customers.customer_key
),

-- Channels of the private domain are put together.
turns as (
    select
        spells.brand_id,
        spells.customer_key,
        spells.valid_from as turned_on,
        1 as change
    from spells
    inner join {{ ref('channels') }} as channels
        on spells.reach_channel = channels.channel and channels.domain = 'private'
    union all
    select
        spells.brand_id,
        spells.customer_key,
        spells.valid_to as turned_on,
        -1 as change
    from spells
    inner join {{ ref('channels') }} as channels
        on spells.reach_channel = channels.channel and channels.domain = 'private'
    where spells.valid_to is not null
),

private_levels as (
    select
        brand_id,
        customer_key,
        turned_on,
        sum(sum(change)) over (
            partition by brand_id, customer_key order by turned_on
            rows between unbounded preceding and current row
        ) as level
    from turns
    group by brand_id, customer_key, turned_on
),

all_levels as (
    {%- for channel, least in [('any', 1), ('two_or_more', 2)] %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        brand_id,
        customer_key,
        '{{ channel }}' as reach_channel,
        turned_on,
        level >= {{ least }} as is_live
    from private_levels
    {%- endfor %}
),

compared as (
    select
        *,
        lag(is_live, 1, false) over (
            partition by brand_id, customer_key, reach_channel order by turned_on
        ) as was_live
    from all_levels
),

changes as (
    select
        brand_id,
        customer_key,
        reach_channel,
        is_live,
        turned_on as valid_from,
        lead(turned_on) over (
            partition by brand_id, customer_key, reach_channel order by turned_on
        ) as valid_to
    from compared
    where is_live <> was_live
),

int_private__reach_spells as (
    select * from spells
    union all
    select
        brand_id,
        customer_key,
        reach_channel,
        valid_from,
        valid_to
    from changes
    where is_live
)

select * from int_private__reach_spells
