-- Grain: one row per observation, brand, customer, kind (any, same, cross), category and purchase day.
-- Why: days from a purchase to the next one, or, where none has come yet, the days waited so far (censored).
-- Not here: cross-category gaps where the next purchase day holds the same category alone.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with category_days as (
    select * from {{ ref('int_value__category_days') }}
),

customer_days as (
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        purchased_on,
        min(category) as first_category,
        max(category) as last_category
    from category_days
    group by observation, observation_date, brand_id, customer_key, purchased_on
),

next_days as (
    select
        *,
        lead(purchased_on) over later as next_purchased_on,
        lead(first_category) over later as next_first_category,
        lead(last_category) over later as next_last_category
    from customer_days
    window later as (partition by observation, brand_id, customer_key order by purchased_on)
),

same_days as (
    select
        *,
        lead(purchased_on) over (
            partition by observation, brand_id, customer_key, category order by purchased_on
        ) as next_purchased_on
    from category_days
),

gaps as (
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        'any' as kind,
        '*' as category,
        purchased_on,
        next_purchased_on
    from next_days
    union all
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        'same' as kind,
        category,
        purchased_on,
        next_purchased_on
    from same_days
    union all
    select
        category_days.observation,
        category_days.observation_date,
        category_days.brand_id,
        category_days.customer_key,
        'cross' as kind,
        category_days.category,
        category_days.purchased_on,
        next_days.next_purchased_on
    from category_days
    inner join next_days
        on
            category_days.observation = next_days.observation
            and category_days.brand_id = next_days.brand_id
            and category_days.customer_key = next_days.customer_key
            and category_days.purchased_on = next_days.purchased_on
    where
        next_days.next_purchased_on is null
        or next_days.next_first_category <> category_days.category
        or next_days.next_last_category <> category_days.category
),

int_value__gaps as (
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        kind,
        category,
        purchased_on,
        next_purchased_on is not null as is_completed,
        {{ quanyu.days_between('purchased_on', 'coalesce(next_purchased_on, observation_date)') }} as gap_days
    from gaps
)

select * from int_value__gaps
