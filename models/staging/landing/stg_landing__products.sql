-- Grain: one row per product_id.
-- Why: the accepted products, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__products and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__products') }}
    where _fate = 'accepted'
),

stg_landing__products as (
    select
        product_id,
        brand_id,
        category,
        name as product_name,
        list_price,
        unit_cost,
        launched_on
    from accepted
)

select * from stg_landing__products
