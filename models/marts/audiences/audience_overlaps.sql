-- Grain: one row per brand and pair of audiences that share a customer on the as-of date (brand_id, audience,
--        other_audience); every pair both ways round.
-- Why: whom two audiences would both send to, and whether they share more than chance would.
-- Not here: pairs that share nobody.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

members as (
    select * from {{ ref('int_audiences__members') }}
),

sizes as (
    select
        brand_id,
        audience,
        count(*) as customers
    from members
    group by brand_id, audience
),

shared as (
    select
        members.brand_id,
        members.audience,
        others.audience as other_audience,
        count(*) as both_customers
    from members
    inner join members as others
        on members.brand_id = others.brand_id and members.customer_key = others.customer_key
    where members.audience <> others.audience
    group by members.brand_id, members.audience, others.audience
),

audience_overlaps as (
    select
        cast(shared.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(shared.audience as {{ dbt.type_string() }}) as audience,
        cast(shared.other_audience as {{ dbt.type_string() }}) as other_audience,
        as_of.as_of_date,
        cast(shared.both_customers as bigint) as both_customers,
        cast(sizes.customers as bigint) as customers,
        cast(other_sizes.customers as bigint) as other_customers,
        cast(shared.both_customers as double) / sizes.customers as both_share,
        cast(shared.both_customers as double)
        / (sizes.customers + other_sizes.customers - shared.both_customers) as jaccard_index,
        100.0 * cast(shared.both_customers as double) * base.base_customers
        / (cast(sizes.customers as double) * other_sizes.customers) as tgi
    from shared
    cross join as_of
    inner join sizes on shared.brand_id = sizes.brand_id and shared.audience = sizes.audience
    inner join sizes as other_sizes
        on shared.brand_id = other_sizes.brand_id and shared.other_audience = other_sizes.audience
    inner join {{ ref('int_audiences__base') }} as base on shared.brand_id = base.brand_id
)

select * from audience_overlaps
order by brand_id, audience, other_audience
