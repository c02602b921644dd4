-- Grain: one row per brand, member of staff, customer and day on which the two were in touch.
-- Why: who of the staff dealt with whom and when; the funnel, after-sales contact and departures read it.
-- Not here: that a contact was added or deleted, which is no conversation; orders (fct_orders).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with int_private__staff_touches as (
    select
        brand_id,
        staff_id,
        customer_key,
        occurred_on as touched_on,
        count(*) as touch_count
    from {{ ref('fct_touchpoints') }}
    where
        staff_id is not null
        and event_type not in ('wecom_add', 'wecom_delete', 'group_join', 'group_leave', 'follow', 'unfollow')
    group by brand_id, staff_id, customer_key, occurred_on
)

select * from int_private__staff_touches
