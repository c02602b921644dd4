-- Grain: one row per brand, customer, channel and unbroken time of reachability (brand_id, customer_key, channel, from_day).
-- Why: consent as the rules of audiences and their counts read it: who can be reached by which channel on which day.
-- Not here: any sign of consent that fct_consent_spells, by which exports are gated, does not know.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with int_audiences__reach_spells as (
    select
        brand_id,
        customer_key,
        channel,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('fct_consent_spells') }}
)

select * from int_audiences__reach_spells
