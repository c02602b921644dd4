-- Grain: one row per link that a guard refused, and one per device that people share.
-- Why: nothing is kept apart silently: what was refused, by which guard, and which record stated it.
-- Not here: links that joined people (identity_evidence).
with resolution as (
    select * from {{ ref('int_identity__resolution') }}
),

-- Only these can be an end of a refused link, so that the links are read once against a small table.
held as (
    select
        identifier_key,
        customer_key,
        guard,
        guard_detail,
        parted_by
    from resolution
    where is_current and (guard is not null or parted_by is not null)
),

links as (
    select links.*
    from {{ ref('int_identity__links') }} as links
    where
        links.is_in_force
        and links.link_kind <> 'split'
        and (
            links.linked_at is null
            or cast(links.linked_at as date) <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
        )
),

touching as (
    select link_key
    from links
    where left_key in (select held.identifier_key from held)
    union
    select link_key
    from links
    where right_key in (select held.identifier_key from held)
    union
    select link_key
    from links
    where link_kind = 'probabilistic'
),

with_ends as (
    select
        links.*,
        left_rows.customer_key as left_customer_key,
        right_rows.customer_key as right_customer_key,
        left_rows.customer_id as left_customer_id,
        right_rows.customer_id as right_customer_id,
        left_rows.parted_by,
        case
            when left_rows.guard = 'blocked' or right_rows.guard = 'blocked' then 'blocked'
            when left_rows.guard = 'hub' or right_rows.guard = 'hub' then 'hub'
            when left_rows.guard = 'contested' or right_rows.guard = 'contested' then 'contested'
            when left_rows.guard = 'too_large' or right_rows.guard = 'too_large' then 'too_large'
            when links.link_kind = 'probabilistic' then 'improbable'
            when left_rows.parted_by is not null then 'parted'
        end as guard,
        case
            when left_rows.guard = 'blocked' then left_rows.guard_detail
            when right_rows.guard = 'blocked' then right_rows.guard_detail
            when left_rows.guard = 'hub' then left_rows.guard_detail
            when right_rows.guard = 'hub' then right_rows.guard_detail
            when left_rows.guard = 'contested' then left_rows.guard_detail
            when right_rows.guard = 'contested' then right_rows.guard_detail
            when left_rows.guard = 'too_large' then left_rows.guard_detail
            when right_rows.guard = 'too_large' then right_rows.guard_detail
            when links.link_kind = 'probabilistic'
                then 'would join two of a kind of which a person has one, or what was split, or too many'
            else concat('two ', left_rows.parted_by, ' would be one customer')
        end as detail
    from links
    inner join touching on links.link_key = touching.link_key
    inner join resolution as left_rows on links.left_key = left_rows.identifier_key and left_rows.is_current
    inner join resolution as right_rows on links.right_key = right_rows.identifier_key and right_rows.is_current
),

refused_links as (
    select
        guard,
        detail,
        link_key,
        left_type,
        left_key,
        left_customer_id,
        right_type,
        right_key,
        right_customer_id,
        entity,
        source_system,
        batch,
        file,
        row_number,
        linked_at
    from with_ends
    where left_customer_key <> right_customer_key and guard is not null
),

shared_devices as (
    select
        identifier_key,
        identifier_type,
        count(distinct customer_key) as customers
    from resolution
    where valid_from is not null or valid_to is not null
    group by identifier_key, identifier_type
),

identity_refusals as (
    select * from refused_links
    union all
    select
        'shared_device' as guard,
        concat('had by ', cast(customers as {{ dbt.type_string() }}), ' customers in turn; joins none') as detail,
        cast(null as bigint) as link_key,
        identifier_type as left_type,
        identifier_key as left_key,
        cast(null as {{ dbt.type_string() }}) as left_customer_id,
        cast(null as {{ dbt.type_string() }}) as right_type,
        cast(null as bigint) as right_key,
        cast(null as {{ dbt.type_string() }}) as right_customer_id,
        cast(null as {{ dbt.type_string() }}) as entity,
        cast(null as {{ dbt.type_string() }}) as source_system,
        cast(null as {{ dbt.type_string() }}) as batch,
        cast(null as {{ dbt.type_string() }}) as file,
        cast(null as bigint) as row_number,
        cast(null as {{ quanyu.type_local_timestamp() }}) as linked_at
    from shared_devices
)

select * from identity_refusals
