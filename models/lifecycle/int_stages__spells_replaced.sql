-- Grain: one row per customer whose spells change in this refresh and FAST spell that he had before it (customer_key,
--        model, brand_id, valid_from); one row without a spell for a customer who had none, one without a customer.
-- Why: what a refresh takes back, and because of what, so that the ledger of published figures can name causes. Made
--      before int_stages__spells is; what the ledger has not seen yet is kept from one refresh to the next.
-- Not here: customers that nothing happened to.
{{ config(meta={'always_build': true}) }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }} {{ ref('int_identity__resolution') }} {{ ref('int_identity__identifiers') }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }} {{ ref('suppressed_identifiers') }}
{%- set plan = quanyu.stage_plan() %}
{%- set spells = adapter.get_relation(this.database, this.schema, 'int_stages__spells') if execute %}
{%- set ledger = adapter.get_relation(this.database, 'audit', 'published_figures') if execute %}
{%- set known = load_cached_relation(this) if execute %}
with batches as (
    select max(first_load_number) as last_load from {{ ref('batches') }}
),
{% if spells and ledger %}
{%- set own_refresh = quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ spells) %}
{%- set ledger_refresh = quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ ledger) %}
{%- set has_new_rules = quanyu.scalar('select max(_rules) from ' ~ spells) != plan.hash %}
{%- set last_load = quanyu.scalar('select max(last_load) from ' ~ known) if known %}
{%- set untouched = quanyu.scalar('select count(*) from ' ~ ref('int_lifecycle__touched_customers')
    ~ ' where _refresh <= ' ~ own_refresh) %}
kept as (
    {%- if known %}
    select * from {{ known }}
    where _refresh > {{ ledger_refresh }} and customer_key is not null
    {%- else %}
    select
        cast(null as bigint) as customer_key,
        cast(null as {{ dbt.type_string() }}) as cause
    where 1 = 0
    {%- endif %}
),

-- Customers whose identifiers came, went or moved.
identities as (
    select distinct customer_key
    from {{ quanyu.customer_changes() }}
    where has_changed and _refresh > {{ own_refresh }}
),

-- Erased people: all identifiers that join them are listed, the one that names the customer among them.
erased as (
    select distinct suppressed_key
    from {{ ref('suppressed_identifiers') }}
    where is_forever and since_refresh >= {{ own_refresh }}
),

before as (
    select
        customer_key,
        model,
        brand_id,
        stage,
        stage_rank,
        valid_from,
        valid_to
    from {{ spells }}
    where model in ('{{ var("fast_stage_model") }}', 'fast_members_30d', 'fast_members_180d', 'fast_super', 'fast_activity')
),

-- A new customer is no change of identity, unless his first identifier had landed before: then he was part of another.
judged as (
    select
        touched.customer_key,
        case
            when erased.suppressed_key is not null then 'people erased'
            when identities.customer_key is not null and (
                touched.customer_key in (select before.customer_key from before)
                or floor(identifiers.first_seen_order / 10000000) <= {{ last_load or 0 }}
            ) then 'identity changed'
            {%- if has_new_rules %}
            {#- When everybody counts as touched, nobody can be told apart. #}
            when {{ 'true' if untouched == 0 else 'touched._refresh <= ' ~ own_refresh }} then 'rules changed'
            {%- endif %}
            else 'rows changed'
        end as cause
    from {{ ref('int_lifecycle__touched_customers') }} as touched
    left join identities on touched.customer_key = identities.customer_key
    left join erased on {{ quanyu.suppressed_key('touched.customer_key') }} = erased.suppressed_key
    left join {{ ref('int_identity__identifiers') }} as identifiers
        on touched.customer_key = identifiers.identifier_key
    where
        touched.customer_key not in (select kept.customer_key from kept)
        {%- if not has_new_rules %}
        and touched._refresh > {{ own_refresh }}
        {%- endif %}
),

replaced as (
    select
        judged.customer_key,
        judged.cause,
        before.model,
        before.brand_id,
        before.stage,
        before.stage_rank,
        before.valid_from,
        before.valid_to,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from judged
    left join before on judged.customer_key = before.customer_key
    {%- if known %}
    union all
    select
        customer_key,
        cause,
        model,
        brand_id,
        stage,
        stage_rank,
        valid_from,
        valid_to,
        _refresh
    from kept
    {%- endif %}
    union all
{% else %}
replaced as (
{% endif %}
    select
        cast(null as bigint) as customer_key,
        cast(null as {{ dbt.type_string() }}) as cause,
        cast(null as {{ dbt.type_string() }}) as model,
        cast(null as {{ dbt.type_string() }}) as brand_id,
        cast(null as {{ dbt.type_string() }}) as stage,
        cast(null as smallint) as stage_rank,
        cast(null as date) as valid_from,
        cast(null as date) as valid_to,
        cast(0 as bigint) as _refresh
),

int_stages__spells_replaced as (
    select
        replaced.*,
        cast(batches.last_load as bigint) as last_load
    from replaced
    cross join batches
)

select * from int_stages__spells_replaced
