-- Grain: one row per brand and member of staff who has left.
-- Why: a WeCom contact belongs to the brand, not to the person who left: who took the customers over, who kept them?
-- Not here: staff still there. Who left is said by the seed staff_departures, else by a long silence.
{%- set days = var('staff_inheritance_days') %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

contacts as (
    select
        brand_id,
        relationship_key as staff_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('fct_relationship_spells') }}
    where relationship = 'wecom_contact' and relationship_key <> ''
),

records as (
    select
        brand_id,
        staff_id,
        touched_on as on_date
    from {{ ref('int_private__staff_touches') }}
    union all
    select
        brand_id,
        staff_id,
        purchased_on as on_date
    from {{ ref('fct_orders') }}
    where staff_id is not null
    union all
    select
        brand_id,
        staff_id,
        valid_from as on_date
    from contacts
),

silent as (
    select
        records.brand_id,
        records.staff_id,
        {{ quanyu.add_days('max(records.on_date)', 1) }} as left_on
    from records
    group by records.brand_id, records.staff_id
),

departures as (
    select
        silent.brand_id,
        silent.staff_id,
        coalesce(said.left_on, silent.left_on) as left_on,
        case when said.left_on is not null then 'seed' else 'silence' end as left_source
    from silent
    cross join as_of
    left join {{ ref('staff_departures') }} as said
        on silent.brand_id = said.brand_id and silent.staff_id = said.staff_id
    where
        said.left_on <= as_of.as_of_date
        or (
            said.left_on is null
            and silent.left_on <= {{ quanyu.add_days('as_of.as_of_date', -var('staff_left_after_days')) }}
        )
),

left_behind as (
    select distinct
        departures.brand_id,
        departures.staff_id,
        departures.left_on,
        contacts.customer_key
    from departures
    inner join contacts
        on
            departures.brand_id = contacts.brand_id
            and departures.staff_id = contacts.staff_id
            and departures.left_on > contacts.valid_from
            and departures.left_on <= contacts.valid_to
),

-- Taken over: a live contact with somebody else who is still there, had already or added in time.
successors as (
    select
        left_behind.brand_id,
        left_behind.staff_id,
        left_behind.customer_key,
        greatest(contacts.valid_from, left_behind.left_on) as taken_over_on,
        contacts.valid_to
    from left_behind
    inner join contacts
        on
            left_behind.brand_id = contacts.brand_id
            and left_behind.customer_key = contacts.customer_key
            and left_behind.staff_id <> contacts.staff_id
            and {{ quanyu.add_days('left_behind.left_on', days) }} >= contacts.valid_from
            and left_behind.left_on < contacts.valid_to
    left join departures as gone
        on contacts.brand_id = gone.brand_id and contacts.staff_id = gone.staff_id
    where gone.left_on is null or gone.left_on > greatest(contacts.valid_from, left_behind.left_on)
),

outcomes as (
    select
        brand_id,
        staff_id,
        customer_key,
        max(case
            when valid_to > {{ quanyu.add_days('taken_over_on', days) }} then 1 else 0
        end) as is_kept
    from successors
    group by brand_id, staff_id, customer_key
),

counted as (
    select
        departures.brand_id,
        departures.staff_id,
        departures.left_on,
        departures.left_source,
        count(left_behind.customer_key) as customers_left,
        count(outcomes.customer_key) as taken_over,
        coalesce(sum(outcomes.is_kept), 0) as kept
    from departures
    left join left_behind
        on departures.brand_id = left_behind.brand_id and departures.staff_id = left_behind.staff_id
    left join outcomes
        on
            left_behind.brand_id = outcomes.brand_id
            and left_behind.staff_id = outcomes.staff_id
            and left_behind.customer_key = outcomes.customer_key
    group by departures.brand_id, departures.staff_id, departures.left_on, departures.left_source
),

observed as (
    select
        counted.*,
        {{ quanyu.add_days('counted.left_on', days) }} <= as_of.as_of_date as is_taking_over_seen,
        {{ quanyu.add_days('counted.left_on', 2 * days) }} <= as_of.as_of_date as is_keeping_seen
    from counted
    cross join as_of
),

staff_inheritance as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(staff_id as {{ dbt.type_string() }}) as staff_id,
        cast(left_on as date) as left_on,
        cast(left_source as {{ dbt.type_string() }}) as left_source,
        cast(customers_left as bigint) as customers_left,
        cast(case when is_taking_over_seen then taken_over end as bigint) as taken_over,
        case when is_taking_over_seen then cast(taken_over as double) / nullif(customers_left, 0) end as taken_over_rate,
        cast(case when is_keeping_seen then kept end as bigint) as kept,
        case when is_keeping_seen then cast(kept as double) / nullif(taken_over, 0) end as kept_rate
    from observed
)

select * from staff_inheritance
order by brand_id, staff_id
