-- Grain: one row per identifier that a valid landed row names (identifier_key).
-- Why: the nodes of the identity graph, with the batch that named each one first.
-- Not here: who it belongs to (int_identity__resolution). A row that is no longer in force belonged to withdrawn
--           deliveries alone; it stays so that its neighbours are resolved again.
{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='identifier_key') }}
{%- set own_refresh = quanyu.followed_refresh() -%}
{%- set some_vanished = quanyu.some_rows_vanished() -%}
{%- set some_lost = some_vanished or quanyu.some_rows_withdrawn(own_refresh) -%}
with batches as (
    select
        entity,
        batch,
        {{ quanyu.seen_order() }} as seen_order
    from {{ ref('batches') }}
    where first_load_number is not null
),
{% if some_lost %}
-- Identifiers that a row no longer names: all rows have to say whether and since when others do.
lost as (
    {%- for source in quanyu.identifier_sources() %}
    {{ 'union' if not loop.first }}
    select {{ source.key }} as identifier_key
    from {{ ref('base_landing__' ~ source.entity) }}
    where
        _refresh > {{ own_refresh }} and _reasons is null and _fate not in {{ quanyu.naming_fates() }}
        and {{ source.key }} is not null
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
-- A refresh reads new rows only: what older rows say of an identifier is known.
sightings as (
    {%- for source in quanyu.identifier_sources() %}
    {{ 'union all' if not loop.first }}
    select
        named.identifier_key,
        named.identifier_type,
        named.identifier_value,
        batches.seen_order
    from (
        select
            {{ source.key }} as identifier_key,
            {{ source.type }} as identifier_type,
            {{ source.value }} as identifier_value,
            _batch
        from {{ ref('base_landing__' ~ source.entity) }}
        where
            _fate in {{ quanyu.naming_fates() }}
            {%- if some_lost %}
            and (_refresh > {{ own_refresh }} or {{ source.key }} in (select lost.identifier_key from lost))
            {%- elif is_incremental() %}
            and _refresh > {{ own_refresh }}
            {%- endif %}
    ) as named
    inner join batches on batches.entity = '{{ source.entity }}' and named._batch = batches.batch
    where named.identifier_key is not null
    {%- endfor %}
),

seen as (
    select
        identifier_key,
        any_value(identifier_type) as identifier_type,
        any_value(identifier_value) as identifier_value,
        cast(min(seen_order) as bigint) as first_seen_order
    from sightings
    group by identifier_key
),

{% if is_incremental() -%}
known as (
    select
        names.identifier_key,
        names.first_seen_order
        {%- if some_lost %},
        -- Comparisons alone: with an `or` in the join below DuckDB would compare all with all.
        case
            when lost.identifier_key is not null then names.first_seen_order
            else cast(9223372036854775807 as bigint)
        end as holds_until_order
        {%- endif %}
    from {{ this }} as names
    {%- if some_lost %}
    left join lost on names.identifier_key = lost.identifier_key
    {%- endif %}
    where names.is_in_force and names.identifier_key in (select seen.identifier_key from seen)
),
{% endif %}
named_identifiers as (
    select seen.*
    from seen
    {%- if is_incremental() %}
    left join known
        on
            seen.identifier_key = known.identifier_key
            and seen.first_seen_order >= known.first_seen_order
            {%- if some_lost %}
            and seen.first_seen_order <= known.holds_until_order
            {%- endif %}
    where known.identifier_key is null
    {%- endif %}
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
        first_seen_order,
        case when is_hashable then {{ quanyu.hash63_of(['identifier_type', 'md5(identifier_value)']) }} end as md5_key,
        case
            when is_hashable
                then {{ quanyu.hash63_of(['identifier_type', quanyu.sha256_hex('identifier_value')]) }}
        end as sha256_key,
        true as is_in_force
    from hashable
),

fresh as (
    select * from in_force
    {%- if some_lost %}
    union all
    select
        names.identifier_key,
        names.identifier_type,
        names.identifier_value,
        names.first_seen_order,
        names.md5_key,
        names.sha256_key,
        false as is_in_force
    from {{ this }} as names
    where
        names.is_in_force
        and names.identifier_key in (select lost.identifier_key from lost)
        and names.identifier_key not in (select seen.identifier_key from seen)
    {%- endif %}
),

int_identity__identifiers as (
    select
        *,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from fresh
)

select * from int_identity__identifiers
