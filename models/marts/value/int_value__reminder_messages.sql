-- Grain: one row per brand, campaign, customer, group (control or not) and day of sending.
-- Why: which messages reminded somebody, and who was held back as control.
-- Not here: messages that failed; campaigns of other scenarios (var reminder_scenarios).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

select
    brand_id,
    campaign_id,
    customer_key,
    is_control,
    sent_on
from {{ ref('int_value__contacts') }}
where scenario in ({{ quanyu.text_literals(var('reminder_scenarios')) }})
