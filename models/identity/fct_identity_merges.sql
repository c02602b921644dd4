-- Grain: one row per customer that went into another one (loser_customer_key).
-- Why: who went into whom, in which batch, and which landed record said so; ids that a list kept can be followed.
-- Not here: merges that have been undone; the past is read off the links that hold today.
{{ config(
    materialized='incremental', incremental_strategy='replace_traced', pre_hook='{{ quanyu.trace_merges() }}',
) }}
-- depends_on: {{ ref('as_of') }}, {{ ref('identifier_types') }}, {{ ref('int_identity__resolution') }}
-- depends_on: {{ ref('base_landing__memberships') }}
with merged as (
    select * from {{ quanyu.work_table('merges') }}
),

identifiers as (
    select * from {{ ref('int_identity__identifiers') }}
),

links as (
    select * from {{ ref('int_identity__links') }}
),

batches as (
    select
        entity,
        batch,
        batch_date,
        first_load_number
    from {{ ref('batches') }}
),

fct_identity_merges as (
    select
        merged.customer_key,
        merged.loser_key as loser_customer_key,
        {{ quanyu.public_customer_id('losers.identifier_type', 'losers.identifier_value') }} as loser_customer_id,
        merged.survivor_key as survivor_customer_key,
        {{ quanyu.public_customer_id('survivors.identifier_type', 'survivors.identifier_value') }}
            as survivor_customer_id,
        case
            when merged.seen_order < {{ quanyu.decided_order() }}
                then cast(floor(merged.seen_order / 10000000) as bigint)
        end as merged_in_load,
        batches.batch_date as merged_in_batch_date,
        merged.link_key,
        links.link_kind,
        links.entity as link_entity,
        links.source_system as link_source_system,
        links.batch as link_batch,
        links.file as link_file,
        links.row_number as link_row,
        links.linked_at,
        links.reason as link_reason,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from merged
    inner join identifiers as losers on merged.loser_key = losers.identifier_key
    inner join identifiers as survivors on merged.survivor_key = survivors.identifier_key
    inner join links on merged.link_key = links.link_key
    left join batches on links.entity = batches.entity and links.batch = batches.batch
)

select * from fct_identity_merges
