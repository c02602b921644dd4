-- Fails with: a customer of the databank rules who goes from L to A, I or none although none of his purchases was
--             refunded in full up to that day.
-- Why: whoever is in L holds a valid purchase within 910 days, which outlives the 365 days of L; only a refund can take
--      it away (a merge or a split moves whole histories and leaves no such step behind).
-- Not claimed: other models, whose windows may end together.
{{ config(meta={'dagster': {'ref': {'name': 'fct_stage_transitions'}}}) }}

with steps as (
    select
        model,
        brand_id,
        customer_key,
        changed_on,
        to_stage
    from {{ ref('fct_stage_transitions') }}
    where model = 'aipl' and from_stage = 'L' and to_stage <> 'P'
)

select steps.*
from steps
left join {{ ref('fct_orders') }} as refunded
    on
        steps.brand_id = refunded.brand_id
        and steps.customer_key = refunded.customer_key
        and steps.changed_on >= refunded.valid_to
where refunded.customer_key is null
