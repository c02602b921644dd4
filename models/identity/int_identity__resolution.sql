-- Grain: one row per identifier in force; a device that went from person to person has one row per spell.
-- Why: which customer an identifier belongs to, since when and until when, and what a guard said about it.
-- Not here: how (macros/identity/resolve_identities.sql, docs/identity.md), which records (identity_evidence).
{{ config(
    materialized='incremental',
    incremental_strategy='replace_resolved',
    pre_hook=['{{ quanyu.create_customer_changes() }}', '{{ quanyu.resolve_identities() }}'],
    meta={'always_build': true},
) }}
-- depends_on: {{ ref('int_identity__identifiers') }}, {{ ref('int_identity__links') }}, {{ ref('as_of') }}
-- depends_on: {{ ref('identifier_types') }}, {{ ref('identity_blocklist') }}, {{ ref('base_landing__memberships') }}
-- depends_on: {{ ref('survivorship') }}
with owners as (
    select * from {{ quanyu.work_table('owners') }}
    {%- if is_incremental() %}
    where identifier_key in (select changed.identifier_key from {{ quanyu.work_table('changed_identifiers') }} as changed)
    {%- endif %}
),

named as (
    select * from {{ quanyu.work_table('owner_names') if is_incremental() else ref('int_identity__identifiers') }}
),

resolved as (
    select
        owners.identifier_key,
        named.identifier_type,
        named.identifier_value,
        owners.customer_key,
        customers.customer_id,
        owners.is_anonymous_visitor,
        owners.component_key,
        owners.guard,
        owners.guard_detail,
        owners.parted_by,
        owners.valid_from,
        owners.valid_to
    from owners
    inner join named on owners.identifier_key = named.identifier_key
    inner join {{ quanyu.work_table('customer_ids') }} as customers on owners.customer_key = customers.customer_key
    {%- if is_incremental() %}
    union all
    select
        identifier_key,
        identifier_type,
        identifier_value,
        customer_key,
        customer_id,
        false as is_anonymous_visitor,
        component_key,
        guard,
        guard_detail,
        cast(null as {{ dbt.type_string() }}) as parted_by,
        cast(null as {{ quanyu.type_local_timestamp() }}) as valid_from,
        cast(null as {{ quanyu.type_local_timestamp() }}) as valid_to
    from {{ quanyu.work_table('plain_resolved') }}
    {%- endif %}
),

int_identity__resolution as (
    select
        resolved.identifier_key,
        resolved.identifier_type,
        resolved.identifier_value,
        resolved.customer_key,
        resolved.customer_id,
        resolved.is_anonymous_visitor,
        resolved.component_key,
        resolved.guard,
        resolved.guard_detail,
        resolved.parted_by,
        resolved.valid_from,
        resolved.valid_to,
        resolved.valid_to is null as is_current,
        state.as_of_date,
        state._settings,
        state._refresh
    from resolved
    cross join {{ quanyu.work_table('resolution_state') }} as state
)

select * from int_identity__resolution
