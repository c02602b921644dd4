-- Grain: one row per observation, brand, customer and category (`*` = whatever was bought).
-- Why: when a person is due: own mean gap, drawn towards the category's cycle the fewer gaps there are.
-- Not here: who is told about it (repurchase_reminders, churn_warnings).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with gaps as (
    select * from {{ ref('int_value__gaps') }}
    where kind in ('any', 'same')
),

cycles as (
    select * from {{ ref('int_value__cycles') }}
),

people as (
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        kind,
        category,
        count(*) as purchase_days,
        max(purchased_on) as last_purchase_on,
        {{ quanyu.days_between('min(purchased_on)', 'max(purchased_on)') }} as span_days
    from gaps
    group by observation, observation_date, brand_id, customer_key, kind, category
),

expected as (
    select
        people.*,
        cycles.cycle_days as category_cycle_days,
        {{ quanyu.expected_cycle('people.span_days', 'people.purchase_days', 'cycles.cycle_days') }}
            as expected_cycle_days
    from people
    inner join cycles
        on
            people.observation = cycles.observation
            and people.brand_id = cycles.brand_id
            and people.kind = cycles.kind
            and people.category = cycles.category
),

measured as (
    select
        observation,
        observation_date,
        brand_id,
        customer_key,
        category,
        purchase_days,
        last_purchase_on,
        category_cycle_days,
        expected_cycle_days,
        {{ quanyu.add_days('last_purchase_on', 'round(expected_cycle_days)') }} as due_on,
        {{ quanyu.reminder_lead_days('expected_cycle_days') }} as lead_days,
        {{ quanyu.days_between('last_purchase_on', 'observation_date') }} as days_since_last,
        {{ quanyu.days_between('last_purchase_on', 'observation_date') }} / greatest(expected_cycle_days, 1)
            as overdue_ratio
    from expected
),

int_value__person_cycles as (
    select
        *,
        {{ quanyu.days_between('due_on', 'observation_date') }} between -lead_days and lead_days as is_due,
        {{ quanyu.churn_band('overdue_ratio') }} as band
    from measured
)

select * from int_value__person_cycles
