-- Grain: one row per landed record and pair of identifiers on it (link_key); also one per pair of a plain identifier
--        and its landed hash, per decision in identity_overrides, and per probable pair of profiles.
-- Why: the edges of the identity graph, each with the landed record that states it.
-- Not here: what the guards make of them (identity_refusals). A row that is no longer in force was withdrawn or
--           corrected; it stays so that both ends are resolved again.
-- depends_on: {{ ref('base_landing__touchpoints') }}, {{ ref('base_landing__orders') }}
-- depends_on: {{ ref('base_landing__refunds') }}, {{ ref('base_landing__messages') }}
-- depends_on: {{ ref('base_landing__referrals') }}
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='link_key',
    post_hook='{{ quanyu.note_identity_inputs() }}',
) }}
{%- set own_refresh = quanyu.followed_refresh() -%}
{%- set some_vanished = quanyu.some_rows_vanished() -%}
{%- set record = ['_batch', '_file', '_row', '_landed_load'] -%}
with batches as (
    select
        entity,
        batch,
        {{ quanyu.seen_order() }} as seen_order
    from {{ ref('batches') }}
    where first_load_number is not null
),

current_profiles as (
    select
        _key,
        updated_at
    from {{ ref('base_landing__profiles') }}
    where _fate = 'accepted'
),

-- A profile that has moved on (a later updated_at) keeps what it said before as history; one that landed again
-- with the same updated_at, or without one, is a correction, and what it said before is no link any more.
profiles as (
    select
        known.source_system,
        known.identifier_type,
        known.identifier_key,
        known.updated_at,
        {{ quanyu.contact_key('phone', 'known.') }} as phone_key,
        {{ quanyu.contact_key('email', 'known.') }} as email_key,
        {%- for column in record %}
        known.{{ column }},
        {%- endfor %}
        known._fate in ('accepted', 'duplicate')
        or known._fate = 'superseded' and coalesce(known.updated_at < current_profiles.updated_at, false) as is_in_force
    from {{ ref('base_landing__profiles') }} as known
    left join current_profiles on known._key = current_profiles._key
    where
        known._reasons is null
        {%- if is_incremental() %}
        and known._key in (
            select changed._key
            from {{ ref('base_landing__profiles') }} as changed
            where changed._refresh > {{ own_refresh }}
        )
        {%- endif %}
),

stated as (
    select
        'identity_links' as entity,
        'record' as link_kind,
        1 as pair_number,
        source_system,
        left_type,
        left_key,
        right_type,
        right_key,
        linked_at,
        {{ record | join(',\n        ') }},
        _fate in ('accepted', 'duplicate') as is_in_force
    from {{ ref('base_landing__identity_links') }}
    where _reasons is null {% if is_incremental() %}and _refresh > {{ own_refresh }}{% endif %}
    union all
    select
        'memberships' as entity,
        'record' as link_kind,
        1 as pair_number,
        brand_id as source_system,
        'member_id' as left_type,
        {{ quanyu.member_key() }} as left_key,
        identifier_type as right_type,
        identifier_key as right_key,
        occurred_at as linked_at,
        {{ record | join(',\n        ') }},
        _fate in ('accepted', 'duplicate') as is_in_force
    from {{ ref('base_landing__memberships') }}
    where _reasons is null {% if is_incremental() %}and _refresh > {{ own_refresh }}{% endif %}
    {%- for left, right in [('identifier', 'phone'), ('identifier', 'email'), ('phone', 'email')] %}
    union all
    select
        'profiles' as entity,
        'record' as link_kind,
        {{ loop.index }} as pair_number,
        source_system,
        {{ 'identifier_type' if left == 'identifier' else "'" ~ left ~ "'" }} as left_type,
        {{ left }}_key as left_key,
        '{{ right }}' as right_type,
        {{ right }}_key as right_key,
        updated_at as linked_at,
        {{ record | join(',\n        ') }},
        is_in_force
    from profiles
    {%- endfor %}
),

records as (
    select
        {{ quanyu.hash63_of(['stated.entity', 'stated.pair_number'] + record) }} as link_key,
        stated.link_kind,
        stated.left_type,
        stated.left_key,
        stated.right_type,
        stated.right_key,
        stated.entity,
        stated.source_system,
        stated._batch as batch,
        stated._file as file,
        stated._row as row_number,
        cast(null as {{ dbt.type_string() }}) as reason,
        stated.linked_at,
        batches.seen_order,
        stated.is_in_force
    from stated
    inner join batches on stated.entity = batches.entity and stated._batch = batches.batch
    where
        stated.left_key is not null
        and stated.right_key is not null
        and stated.left_key <> stated.right_key
        {%- if not is_incremental() %}
        and stated.is_in_force
        {%- endif %}
),

identifiers as {{ quanyu.inline_cte() }} (
    select * from {{ ref('int_identity__identifiers') }}
),
{% for digest in ['md5', 'sha256'] %}
{{ digest }}_pairs as (
    select
        plain.identifier_type as left_type,
        plain.identifier_key as left_key,
        landed_hash.identifier_type as right_type,
        landed_hash.identifier_key as right_key,
        '{{ digest }}' as source_system,
        greatest(plain.first_seen_order, landed_hash.first_seen_order) as seen_order,
        plain.is_in_force and landed_hash.is_in_force as is_in_force
    from identifiers as plain
    inner join identifiers as landed_hash on plain.{{ digest }}_key = landed_hash.identifier_key
    where plain.{{ digest }}_key is not null
    {%- if is_incremental() %}
    and plain._refresh > {{ own_refresh }}
    union
    select
        plain.identifier_type as left_type,
        plain.identifier_key as left_key,
        landed_hash.identifier_type as right_type,
        landed_hash.identifier_key as right_key,
        '{{ digest }}' as source_system,
        greatest(plain.first_seen_order, landed_hash.first_seen_order) as seen_order,
        plain.is_in_force and landed_hash.is_in_force as is_in_force
    from identifiers as plain
    inner join identifiers as landed_hash on plain.{{ digest }}_key = landed_hash.identifier_key
    where
        landed_hash._refresh > {{ own_refresh }}
        and {{ quanyu.regexp_like('landed_hash.identifier_value', quanyu.digest_pattern()) }}
    {%- endif %}
),
{% endfor %}
hash_pairs as (
    select * from md5_pairs
    union all
    select * from sha256_pairs
),

overrides as (
    {{ quanyu.normalised_overrides() }}
),

-- As old as the later of the two profiles.
probable_pairs as (
    select * from {{ ref('identity_probable_pairs') }}
    where is_accepted
),

profiles_seen as (
    select
        profiles.identifier_key,
        min(batches.seen_order) as first_seen_order
    from {{ ref('base_landing__profiles') }} as profiles
    inner join batches on batches.entity = 'profiles' and profiles._batch = batches.batch
    where
        profiles._fate in {{ quanyu.naming_fates() }}
        and profiles.identifier_key in (
            select probable_pairs.left_key from probable_pairs
            union
            select probable_pairs.right_key from probable_pairs
        )
    group by profiles.identifier_key
),

unrecorded as (
    select
        {{ quanyu.hash63_of(["'hash'", 'left_key', 'right_key']) }} as link_key,
        'hash' as link_kind,
        left_type,
        left_key,
        right_type,
        right_key,
        source_system,
        cast(null as {{ dbt.type_string() }}) as reason,
        seen_order,
        is_in_force
    from hash_pairs
    union all
    select
        {{ quanyu.hash63_of(["'probabilistic'", 'pairs.left_key', 'pairs.right_key']) }} as link_key,
        'probabilistic' as link_kind,
        pairs.left_type,
        pairs.left_key,
        pairs.right_type,
        pairs.right_key,
        'splink' as source_system,
        cast(null as {{ dbt.type_string() }}) as reason,
        greatest(left_seen.first_seen_order, right_seen.first_seen_order) as seen_order,
        true as is_in_force
    from probable_pairs as pairs
    inner join profiles_seen as left_seen on pairs.left_key = left_seen.identifier_key
    inner join profiles_seen as right_seen on pairs.right_key = right_seen.identifier_key
    union all
    select
        {{ quanyu.hash63_of(["'override'", 'action', 'left_key', 'right_key']) }} as link_key,
        case action when 'link' then 'override' else 'split' end as link_kind,
        left_type,
        left_key,
        right_type,
        right_key,
        'identity_overrides' as source_system,
        reason,
        cast({{ quanyu.decided_order() }} as bigint) as seen_order,
        true as is_in_force
    from overrides
),

every_link as (
    select * from records
    union all
    select
        link_key,
        link_kind,
        left_type,
        left_key,
        right_type,
        right_key,
        case link_kind
            when 'hash' then 'int_identity__identifiers'
            when 'probabilistic' then 'identity_probable_pairs'
            else 'identity_overrides'
        end as entity,
        source_system,
        cast(null as {{ dbt.type_string() }}) as batch,
        cast(null as {{ dbt.type_string() }}) as file,
        cast(null as bigint) as row_number,
        reason,
        cast(null as {{ quanyu.type_local_timestamp() }}) as linked_at,
        seen_order,
        is_in_force
    from unrecorded
),

all_links as (
    select
        every_link.*,
        left_types.joins_people as left_joins,
        right_types.joins_people as right_joins
    from every_link
    inner join {{ ref('identifier_types') }} as left_types on every_link.left_type = left_types.identifier_type
    inner join {{ ref('identifier_types') }} as right_types on every_link.right_type = right_types.identifier_type
),
{% if is_incremental() %}
fresh as (
    select * from all_links
    union all
    select
        known.link_key,
        known.link_kind,
        known.left_type,
        known.left_key,
        known.right_type,
        known.right_key,
        known.entity,
        known.source_system,
        known.batch,
        known.file,
        known.row_number,
        known.reason,
        known.linked_at,
        known.seen_order,
        false as is_in_force,
        known.left_joins,
        known.right_joins
    from {{ this }} as known
    where
        known.link_key not in (select all_links.link_key from all_links)
        and (
            known.link_kind in ('override', 'split', 'probabilistic')
            {%- if some_vanished %}
            or known.link_kind = 'record'
            and known.is_in_force
            and not exists (
                select 1
                from (
                    {%- for entity in ['identity_links', 'memberships', 'profiles'] %}
                    {{ 'union all' if not loop.first }}
                    select
                        '{{ entity }}' as entity,
                        _batch,
                        _file,
                        _row
                    from {{ ref('base_landing__' ~ entity) }}
                    {%- endfor %}
                ) as landed
                where
                    known.entity = landed.entity
                    and known.batch = landed._batch
                    and known.file = landed._file
                    and known.row_number = landed._row
            )
            {%- endif %}
        )
),

-- Cut down first: the join would be built on all links that are known.
known_links as (
    select
        link_key,
        is_in_force,
        seen_order,
        reason
    from {{ this }}
    where link_key in (select fresh.link_key from fresh)
),

int_identity__links as (
    select
        fresh.*,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from fresh
    left join known_links as known
        on
            fresh.link_key = known.link_key
            and fresh.is_in_force = known.is_in_force
            and fresh.seen_order = known.seen_order
            and coalesce(fresh.reason, '') = coalesce(known.reason, '')
    where known.link_key is null
)
{% else %}
int_identity__links as (
    select
        *,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from all_links
    where is_in_force
)
{% endif %}
select * from int_identity__links
