-- Grain: one row per brand, campaign, customer, group (control or not) and day of sending.
-- Why: who was contacted by a message and when, and who was held back as control.
-- Not here: messages that failed; whether anybody bought (reminder_backtest, churn_saves).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

int_value__contacts as (
    select distinct
        campaigns.brand_id,
        messages.campaign_id,
        campaigns.scenario,
        identities.customer_key,
        coalesce(messages.is_control, false) as is_control,
        messages.sent_on
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    inner join identities on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    where
        messages.failed_reason is null
        and {{ quanyu.owned_at('messages.sent_at', 'identities') }}
)

select * from int_value__contacts
