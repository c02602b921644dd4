-- Grain: one row per unbroken relationship (brand_id, customer_key, relationship, relationship_key, valid_from).
-- Why: who is a member, follower, WeCom contact or group member on day d: valid_from <= d and (valid_to is null or
--      d < valid_to); the stage engine and every reachability figure read it.
-- Not here: a relationship begun and ended within one day, which is live at the end of no day.
{{ config(materialized='incremental', incremental_strategy='replace_touched') }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }}

with touchpoints as (
    select
        brand_id,
        customer_key,
        event_type,
        occurred_at,
        case event_type
            when 'follow' then 'follower'
            when 'unfollow' then 'follower'
            when 'wecom_add' then 'wecom_contact'
            when 'wecom_delete' then 'wecom_contact'
            else 'group_member'
        end as relationship,
        case
            when event_type in ('follow', 'unfollow') then channel
            when event_type in ('wecom_add', 'wecom_delete') then staff_id
            else content_id
        end as relationship_key,
        event_type in ('follow', 'wecom_add', 'group_join') as is_start
    from {{ ref('fct_touchpoints') }}
    where
        event_type in ('follow', 'unfollow', 'wecom_add', 'wecom_delete', 'group_join', 'group_leave')
        {% if is_incremental() %}
        and {{ quanyu.written_since_last_refresh() }}
        and customer_key in ({{ quanyu.touched_since_last_refresh() }})
        {% endif %}
),

-- The last event of a day says how the day ends; at one instant an end counts after a start.
day_ends as (
    select
        *,
        cast(occurred_at as date) as happened_on
    from touchpoints
    qualify row_number() over (
        partition by brand_id, customer_key, relationship, relationship_key, cast(occurred_at as date)
        order by occurred_at desc, is_start asc
    ) = 1
),

compared as (
    select
        *,
        lag(is_start) over (
            partition by brand_id, customer_key, relationship, relationship_key order by happened_on
        ) as was_live
    from day_ends
),

turns as (
    select
        *,
        lead(happened_on) over (
            partition by brand_id, customer_key, relationship, relationship_key order by happened_on
        ) as next_turn_on
    from compared
    where is_start <> coalesce(was_live, false)
),

memberships as (
    select
        brand_id,
        customer_key,
        membership_key,
        valid_from,
        valid_to
    from {{ ref('fct_membership_spells') }}
    {% if is_incremental() %}
    where customer_key in ({{ quanyu.touched_since_last_refresh() }})
    {% endif %}
),

relationships as (
    select
        brand_id,
        customer_key,
        relationship,
        coalesce(relationship_key, '') as relationship_key,
        happened_on as valid_from,
        next_turn_on as valid_to
    from turns
    where is_start
    union all
    select
        brand_id,
        customer_key,
        'member' as relationship,
        cast(membership_key as {{ dbt.type_string() }}) as relationship_key,
        valid_from,
        valid_to
    from memberships
),

fct_relationship_spells as (
    select
        *,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from relationships
)

select * from fct_relationship_spells
