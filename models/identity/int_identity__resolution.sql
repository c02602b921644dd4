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
with resolved as (
    select * from {{ quanyu.work_table('resolved') }}
),

int_identity__resolution as (
    select
        identifier_key,
        identifier_type,
        identifier_value,
        customer_key,
        customer_id,
        is_anonymous_visitor,
        component_key,
        guard,
        guard_detail,
        parted_by,
        valid_from,
        valid_to,
        is_current,
        as_of_date,
        _settings,
        _refresh
    from resolved
)

select * from int_identity__resolution
