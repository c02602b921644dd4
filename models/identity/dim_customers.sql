-- Grain: one row per customer (customer_key), anonymous visitors included.
-- Why: the golden record: of all that the sources say about a person, one value per attribute, chosen by a declared
--      order: the source first (seed survivorship), then the newest profile, then the source's name, the stronger
--      kind of id (seed identifier_types) and the id itself.
-- Not here: behaviour and value (marts.customers); this table is personal data and stays in the identity layer.
{{ config(
    materialized='incremental', incremental_strategy='replace_traced',
    pre_hook='{{ quanyu.trace_golden_records() }}',
) }}
-- depends_on: {{ ref('base_landing__profiles') }}
{%- set attributes = ['name', 'gender', 'birth_date', 'phone', 'email', 'province', 'city', 'address'] %}
with resolution as (
    select * from {{ ref('int_identity__resolution') }}
    {%- if is_incremental() %}
    where
        customer_key in (
            select traced.customer_key from {{ quanyu.work_table('dim_customers_traced') }} as traced
        )
    {%- endif %}
),

identifier_types as (
    select * from {{ ref('identifier_types') }}
),

customer_identifiers as (
    select
        resolution.customer_key,
        min(resolution.customer_id) as customer_id,
        min(case when resolution.is_anonymous_visitor then 1 else 0 end) = 1 as is_anonymous_visitor,
        count(distinct resolution.identifier_key) as identifier_count,
        count(distinct resolution.identifier_type) as identifier_type_count,
        count(distinct case when identifier_types.joins_people then resolution.identifier_key end) as personal_id_count,
        count(distinct case when not identifier_types.joins_people then resolution.identifier_key end) as device_count
    from resolution
    inner join identifier_types on resolution.identifier_type = identifier_types.identifier_type
    group by resolution.customer_key
),

profiles as (
    select
        owners.customer_key,
        identifier_types.priority as identifier_priority,
        profiles.*
    from {{ ref('stg_landing__profiles') }} as profiles
    inner join resolution as owners on profiles.identifier_key = owners.identifier_key and owners.is_current
    inner join identifier_types on owners.identifier_type = identifier_types.identifier_type
),

rules as (
    select * from {{ ref('survivorship') }}
),

said as (
    {%- for attribute in attributes %}
    {{ 'union all' if not loop.first }}
    select
        customer_key,
        '{{ attribute }}' as attribute,
        cast({{ attribute }} as {{ dbt.type_string() }}) as said_value,
        source_system,
        identifier_type,
        identifier_priority,
        identifier_value,
        updated_at
    from profiles
    where {{ attribute }} is not null
    {%- endfor %}
),

-- The most specific rule for an attribute and source counts.
ranked as (
    select
        said.*,
        coalesce(rules.source_priority, 1000) as source_priority
    from said
    left join rules
        on
            (said.attribute = rules.attribute or rules.attribute = '*')
            and (said.source_system = rules.source_system or rules.source_system = '*')
    qualify row_number() over (
        partition by
            said.customer_key, said.attribute, said.source_system, said.identifier_type, said.identifier_value
        order by
            case when rules.attribute = '*' then 1 else 0 end,
            case when rules.source_system = '*' then 1 else 0 end,
            rules.source_priority
    ) = 1
),

surviving as (
    select *
    from ranked
    qualify row_number() over (
        partition by customer_key, attribute
        order by
            source_priority asc, updated_at desc nulls last, source_system asc,
            identifier_priority asc, identifier_value asc
    ) = 1
),

golden as (
    select
        customer_key
        {%- for attribute in attributes %},
        max(case when attribute = '{{ attribute }}' then said_value end) as {{ attribute }},
        max(case when attribute = '{{ attribute }}' then source_system end) as {{ attribute }}_source
        {%- endfor %}
    from surviving
    group by customer_key
),

-- A phone or e-mail that no profile names is read off the identifiers, never as a hash.
contacts as (
    select
        resolution.customer_key,
        min(case when resolution.identifier_type = 'phone' then resolution.identifier_value end) as phone,
        min(case when resolution.identifier_type = 'email' then resolution.identifier_value end) as email
    from resolution
    where
        resolution.identifier_type in ('phone', 'email')
        and resolution.guard is null
        and not {{ quanyu.regexp_like('resolution.identifier_value', quanyu.digest_pattern()) }}
    group by resolution.customer_key
),

dim_customers as (
    select
        customer_identifiers.customer_key,
        customer_identifiers.customer_id,
        customer_identifiers.is_anonymous_visitor,
        cast(customer_identifiers.identifier_count as integer) as identifier_count,
        cast(customer_identifiers.identifier_type_count as integer) as identifier_type_count,
        cast(customer_identifiers.personal_id_count as integer) as personal_id_count,
        cast(customer_identifiers.device_count as integer) as device_count,
        {%- for attribute in attributes %}
        {%- if attribute == 'birth_date' %}
        cast(golden.birth_date as date) as birth_date,
        {%- elif attribute in ('phone', 'email') %}
        coalesce(golden.{{ attribute }}, contacts.{{ attribute }}) as {{ attribute }},
        {%- else %}
        golden.{{ attribute }},
        {%- endif %}
        {%- if attribute in ('phone', 'email') %}
        coalesce(
            golden.{{ attribute }}_source, case when contacts.{{ attribute }} is not null then 'identifiers' end
        ) as {{ attribute }}_source,
        {%- else %}
        golden.{{ attribute }}_source,
        {%- endif %}
        {%- endfor %}
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from customer_identifiers
    left join golden on customer_identifiers.customer_key = golden.customer_key
    left join contacts on customer_identifiers.customer_key = contacts.customer_key
)

select * from dim_customers
