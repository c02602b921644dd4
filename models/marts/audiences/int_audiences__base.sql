-- Grain: one row per brand.
-- Why: the base that audiences and tags are compared with: every counted customer with any activity of the brand.
-- Not here: anonymous visitors (var count_anonymous_visitors).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with customers as (
    {{ quanyu.counted_customers() }}
),

int_audiences__base as (
    select
        activity.brand_id,
        count(distinct activity.customer_key) as base_customers
    from {{ ref('customer_day') }} as activity
    inner join customers on activity.customer_key = customers.customer_key
    group by activity.brand_id
)

select * from int_audiences__base
