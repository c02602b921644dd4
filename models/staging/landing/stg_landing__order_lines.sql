-- Grain: one row per source_system, order_id, line_number.
-- Why: the accepted order lines, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__order_lines and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__order_lines') }}
    where _fate = 'accepted'
),

stg_landing__order_lines as (
    select
        order_id,
        source_system,
        line_number,
        product_id,
        quantity,
        line_amount
    from accepted
)

select * from stg_landing__order_lines
