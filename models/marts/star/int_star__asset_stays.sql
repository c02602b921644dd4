-- Grain: one row per brand, asset, customer and unbroken stay in it (brand_id, asset, customer_key, from_day).
-- Why: how many people each private asset holds on any day, each counted once however many contacts keep him there.
-- Not here: layers (int_stages__spells); who may be written to by which channel (fct_consent_spells).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with counted as (
    {{ quanyu.counted_customers() }}
),

relationships as (
    select
        spells.brand_id,
        spells.customer_key,
        spells.relationship,
        {{ quanyu.day_number('spells.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('spells.valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('fct_relationship_spells') }} as spells
    inner join counted on spells.customer_key = counted.customer_key
),

-- Consent to a channel of the private domain; a shop's fans are reached at the platform's will.
reach as (
    select
        spells.brand_id,
        spells.customer_key,
        {{ quanyu.day_number('spells.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('spells.valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('fct_consent_spells') }} as spells
    inner join counted on spells.customer_key = counted.customer_key
    inner join {{ ref('channels') }} as channels on spells.channel = channels.channel
    where channels.domain = 'private'
),

miniprogram_days as (
    select distinct
        touchpoints.brand_id,
        touchpoints.customer_key,
        {{ quanyu.day_number('touchpoints.occurred_on') }} as day
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join counted on touchpoints.customer_key = counted.customer_key
    where touchpoints.channel = '{{ var("star_miniprogram_channel") }}'
),

stays as (
    select
        brand_id,
        customer_key,
        relationship as asset,
        from_day,
        to_day
    from relationships
    union all
    select
        brand_id,
        customer_key,
        'reachable' as asset,
        from_day,
        to_day
    from reach
    {%- for days in [30, 365] %}
    union all
    select
        brand_id,
        customer_key,
        'miniprogram_{{ days }}d' as asset,
        day as from_day,
        day + {{ days }} as to_day
    from miniprogram_days
    {%- endfor %}
),

-- A stay that begins after every earlier one has ended opens an island.
marked as (
    select
        *,
        case
            when from_day <= max(to_day) over (
                partition by brand_id, asset, customer_key order by from_day, to_day
                rows between unbounded preceding and 1 preceding
            ) then 0
            else 1
        end as is_first
    from stays
),

numbered as (
    select
        *,
        sum(is_first) over (
            partition by brand_id, asset, customer_key order by from_day, to_day
            rows between unbounded preceding and current row
        ) as island
    from marked
),

int_star__asset_stays as (
    select
        brand_id,
        asset,
        customer_key,
        min(from_day) as from_day,
        max(to_day) as to_day
    from numbered
    group by brand_id, asset, customer_key, island
)

select * from int_star__asset_stays
