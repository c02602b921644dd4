-- Grain: one row per identifier that a valid landed row names (identifier_key).
-- Why: the nodes of the identity graph, with the batch that named each one first.
-- Not here: who it belongs to (int_identity__resolution). A row that is no longer in force belonged to withdrawn
--           deliveries alone; it stays so that its neighbours are resolved again.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='identifier_key') }}
{%- set own_refresh = quanyu.followed_refresh() -%}
{%- set some_vanished = quanyu.some_rows_vanished() -%}
with batches as (
    select
        entity,
        batch,
        {{ quanyu.seen_order() }} as seen_order
    from {{ ref('batches') }}
    where first_load_number is not null
),
{% if is_incremental() %}
changed as (
    {%- for source in quanyu.identifier_sources() %}
    {{ 'union' if not loop.first }}
    select {{ source.key }} as identifier_key
    from {{ ref('base_landing__' ~ source.entity) }}
    where _refresh > {{ own_refresh }} and _reasons is null
    {%- endfor %}
    {%- if some_vanished %}
    union
    select known.identifier_key
    from {{ this }} as known
    where
        known.is_in_force
        and known.identifier_key not in (
            {%- for source in quanyu.identifier_sources() %}
            {{ 'union all' if not loop.first }}
            select {{ source.key }}
            from {{ ref('base_landing__' ~ source.entity) }}
            where _fate in {{ quanyu.naming_fates() }} and {{ source.key }} is not null
            {%- endfor %}
        )
    {%- endif %}
),
{% endif %}
sightings as (
    {%- for source in quanyu.identifier_sources() %}
    {{ 'union all' if not loop.first }}
    select
        named.identifier_key,
        any_value(named.identifier_type) as identifier_type,
        any_value(named.identifier_value) as identifier_value,
        min(batches.seen_order) as first_seen_order
    from (
        select
            {{ source.key }} as identifier_key,
            {{ source.type }} as identifier_type,
            {{ source.value }} as identifier_value,
            _batch
        from {{ ref('base_landing__' ~ source.entity) }}
        where _fate in {{ quanyu.naming_fates() }}
    ) as named
    inner join batches on batches.entity = '{{ source.entity }}' and named._batch = batches.batch
    where
        named.identifier_key is not null
        {%- if is_incremental() %}
        and named.identifier_key in (select changed.identifier_key from changed)
        {%- endif %}
    group by named.identifier_key
    {%- endfor %}
),

named_identifiers as (
    select
        identifier_key,
        any_value(identifier_type) as identifier_type,
        any_value(identifier_value) as identifier_value,
        min(first_seen_order) as first_seen_order
    from sightings
    group by identifier_key
),

hashable as (
    select
        named_identifiers.*,
        identifier_types.matches_hashes
        and not {{ quanyu.regexp_like('named_identifiers.identifier_value', quanyu.digest_pattern()) }} as is_hashable
    from named_identifiers
    inner join {{ ref('identifier_types') }} as identifier_types
        on named_identifiers.identifier_type = identifier_types.identifier_type
),

in_force as (
    select
        identifier_key,
        identifier_type,
        identifier_value,
        cast(first_seen_order as bigint) as first_seen_order,
        case when is_hashable then {{ quanyu.hash63_of(['identifier_type', 'md5(identifier_value)']) }} end as md5_key,
        case
            when is_hashable
                then {{ quanyu.hash63_of(['identifier_type', quanyu.sha256_hex('identifier_value')]) }}
        end as sha256_key,
        true as is_in_force
    from hashable
),
{% if is_incremental() %}
known as (
    select * from {{ this }}
    where identifier_key in (select changed.identifier_key from changed)
),

fresh as (
    select * from in_force
    union all
    select
        known.identifier_key,
        known.identifier_type,
        known.identifier_value,
        known.first_seen_order,
        known.md5_key,
        known.sha256_key,
        false as is_in_force
    from known
    left join in_force on known.identifier_key = in_force.identifier_key
    where in_force.identifier_key is null
),

int_identity__identifiers as (
    select
        fresh.*,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from fresh
    left join known
        on
            fresh.identifier_key = known.identifier_key
            and fresh.first_seen_order = known.first_seen_order
            and fresh.is_in_force = known.is_in_force
    where known.identifier_key is null
)
{% else %}
int_identity__identifiers as (
    select
        *,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from in_force
)
{% endif %}
select * from int_identity__identifiers
