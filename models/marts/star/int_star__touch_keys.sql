-- Grain: one row per channel and touch-point that can be (channel_key, touch_point_key).
-- Why: ten million touch-points are grouped by two small numbers instead of two texts, which halves the cost.
-- Not here: channels missing in the seed `channels`; they are all called unknown.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with channel_names as (
    select channel from {{ ref('channels') }}
    union
    select 'unknown' as channel
),

touch_point_names as (
    select event_type as touch_point from {{ ref('event_types') }}
    union
    select 'purchase' as touch_point
    union
    select 'message' as touch_point
    union
    select 'member_join' as touch_point
),

channel_keys as (
    select
        channel,
        case when channel = 'unknown' then 0 else row_number() over (order by channel) end as channel_key
    from channel_names
),

touch_point_keys as (
    select
        touch_point,
        row_number() over (order by touch_point) as touch_point_key
    from touch_point_names
),

{% set deeds = {
    'message': 1, 'message_in': 2, 'share': 4, 'cart_add': 8, 'coupon_claim': 16, 'coupon_use': 32,
    'points_redeem': 64,
} -%}
int_star__touch_keys as (
    select
        cast(channel_keys.channel_key as smallint) as channel_key,
        cast(touch_point_keys.touch_point_key as smallint) as touch_point_key,
        channel_keys.channel,
        touch_point_keys.touch_point,
        case
            when touch_point_keys.touch_point in ({{ quanyu.text_literals(var('star_interactions')) }}) then 1
            else 0
        end as is_interaction,
        -- 256: the customer did something; 512: it was done in a group.
        cast(
            case touch_point_keys.touch_point
                {%- for deed, bit in deeds.items() %}
                when '{{ deed }}' then {{ bit }}
                {%- endfor %}
                else 0
            end
            + case when touch_point_keys.touch_point in ('message', 'member_join') then 0 else 256 end
            + case
                when channel_keys.channel = 'community_group' and touch_point_keys.touch_point <> 'group_leave'
                    and touch_point_keys.touch_point <> 'message' then 512
                else 0
            end as integer
        ) as deeds
    from channel_keys
    cross join touch_point_keys
)

select * from int_star__touch_keys
