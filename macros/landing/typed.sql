{#- From text to types, with a name for everything that can be wrong with a row. The base models and the gate's
    profile are both made of these macros, so the gate counts exactly what staging would quarantine. -#}

{#- CTEs that end in `typed`, over a CTE `landed` (all names with the prefix). `typed` holds for every contract column <c> its text `text_<c>`
    and its typed, normalised value <c>; for every identifier_value <p>_value its key <p>_key. -#}
{% macro typed_ctes(entity, prefix='', has_keys=true) -%}
{#- Said outright, because the vocabularies of an entity are known only when dbt executes. -#}
{%- do [ref('identifier_types'), ref('event_types')] -%}
{%- set identifiers = entity.columns | selectattr('kind', 'equalto', 'identifier_value') | list -%}
{{ prefix }}cleaned as {{ quanyu.inline_cte() }} (
    select
        load_number,
        _batch,
        _batch_date,
        _file,
        _row,
        _raw,
        {{ quanyu.problem_unless_erased() }} as _problem,
        {{ quanyu.landed_erased() }} as landed_erased
        {%- for column in entity.columns %},
        {{ quanyu.clean_text(column.name) }} as text_{{ column.name }}
        {%- endfor %}
        {%- for column in entity.columns %},
        {{ column.name }} as landed_{{ column.name }}
        {%- endfor %}
    from {{ prefix }}landed
),

{{ prefix }}typed_values as {{ quanyu.inline_cte() }} (
    select
        cleaned.*
        {%- for column in entity.columns %},
        {{ quanyu.typed_value(column) }} as {{ column.name }}
        {%- endfor %}
        {%- for column in identifiers %},
        {{ column.type_column }}_row.identifier_type as known_{{ column.type_column }}
        {%- endfor %}
        {%- for column in entity.columns if column.vocabulary is defined %},
        {{ column.name }}_row.{{ column.name }} as known_{{ column.name }}
        {%- endfor %}
    from {{ prefix }}cleaned as cleaned
    {%- for column in identifiers %}
    left join {{ ref('identifier_types') }} as {{ column.type_column }}_row
        on {{ column.type_column }}_row.identifier_type = lower(cleaned.text_{{ column.type_column }})
    {%- endfor %}
    {%- for column in entity.columns if column.vocabulary is defined %}
    left join {{ ref(column.vocabulary) }} as {{ column.name }}_row
        on {{ column.name }}_row.{{ column.name }} = lower(cleaned.text_{{ column.name }})
    {%- endfor %}
),

{{ prefix }}typed as {{ quanyu.inline_cte() }} (
    select
        *
        {%- if has_keys %}
        {%- for column in identifiers %},
        case
            when {{ column.name }} is not null and {{ column.type_column }} is not null
                then {{ quanyu.hash63_of([column.type_column, column.name]) }}
        end as {{ column.name | replace('_value', '_key') }}
        {%- endfor %},
        {{ quanyu.hash63_of(entity.key) }} as _key
        {%- endif %}
    from {{ prefix }}typed_values
)
{%- endmacro %}


{#- Value of a column by its kind, from its clean text. -#}
{% macro typed_value(column) -%}
    {%- set x = 'cleaned.text_' ~ column.name -%}
    {%- if column.kind in ('code', 'identifier_type') -%}
        lower({{ x }})
    {%- elif column.kind == 'identifier_value' -%}
        {{ quanyu.normalise_identifier(column.type_column ~ '_row.normaliser', x) }}
    {%- elif column.kind == 'phone' -%}
        {{ quanyu.normalise_phone(x) }}
    {%- elif column.kind == 'email' -%}
        {{ quanyu.normalise_email(x) }}
    {%- elif column.kind == 'timestamp' -%}
        {{ quanyu.business_timestamp(x) }}
    {%- elif column.kind == 'date' -%}
        {{ quanyu.business_date(x) }}
    {%- elif column.kind in ('amount', 'number') -%}
        try_cast({{ x }} as decimal(18, 4))
    {%- elif column.kind == 'integer' -%}
        case
            when {{ quanyu.regexp_like(x, "'^[+-]?[0-9]+([.]0+)?$'") }}
                then cast(try_cast({{ x }} as decimal(18, 0)) as bigint)
        end
    {%- elif column.kind == 'flag' -%}
        case
            when lower({{ x }}) in ('true', 't', 'yes', 'y', '1', '是') then true
            when lower({{ x }}) in ('false', 'f', 'no', 'n', '0', '否') then false
        end
    {%- elif column.name == 'brand_id' and not column.required -%}
        coalesce({{ x }}, '{{ var("default_brand_id") }}')
    {%- else -%}
        {{ x }}
    {%- endif -%}
{%- endmacro %}


{#- Everything that can be wrong with a row of the entity, in the order of the contract: a list of
    {column, check, when (a predicate on the CTE `typed`), says (a SQL text: what is wrong and what to do)}. -#}
{% macro landing_checks(entity) %}
    {%- set checks = [
        {'column': 'row', 'check': 'unsplittable', 'when': '_problem is not null', 'says': '_problem'}
    ] -%}
    {%- for c in entity.columns -%}
        {%- set x = 'text_' ~ c.name -%}
        {%- if c.required -%}
            {%- set value = c.name if c.kind == 'identifier_value' else x -%}
            {%- do checks.append({'column': c.name, 'check': 'missing',
                'when': '(_problem is null and ' ~ value ~ ' is null)',
                'says': "'" ~ c.name ~ " is missing: it is required'"}) -%}
        {%- endif -%}
        {%- if c.kind == 'identifier_value' and not c.required -%}
            {%- do checks.append({'column': c.type_column, 'check': 'missing',
                'when': '(' ~ x ~ ' is not null and text_' ~ c.type_column ~ ' is null)',
                'says': "'" ~ c.type_column ~ " is missing beside a " ~ c.name ~ ": say what kind of id it is'"}) -%}
        {%- endif -%}
        {%- if c.kind in quanyu.text_kinds() -%}
            {%- set limit = var('max_id_length') if c.kind in ('id', 'code', 'identifier_type', 'identifier_value')
                else var('max_text_length') -%}
            {%- do checks.append({'column': c.name, 'check': 'damaged',
                'when': '(' ~ quanyu.is_damaged('landed_' ~ c.name) ~ ')',
                'says': "'" ~ c.name ~ " holds a NUL or replacement character: export it again as UTF-8'"}) -%}
            {%- do checks.append({'column': c.name, 'check': 'too_long',
                'when': '(length(' ~ x ~ ') > ' ~ limit ~ ')',
                'says': "concat('" ~ c.name ~ " has ', cast(length(" ~ x ~ ") as " ~ dbt.type_string()
                    ~ "), ' characters, more than " ~ limit ~ ": a shifted column or a missing quote?')"}) -%}
        {%- else -%}
            {%- do checks.append({'column': c.name, 'check': 'unreadable',
                'when': '(' ~ x ~ ' is not null and ' ~ c.name ~ ' is null)',
                'says': quanyu.says_value(c, "is not " ~ quanyu.kind_in_words(c.kind))}) -%}
        {%- endif -%}
        {%- if c.kind in ('id', 'identifier_value') -%}
            {%- do checks.append({'column': c.name, 'check': 'scientific',
                'when': '(' ~ quanyu.is_scientific(x) ~ ')',
                'says': quanyu.says_value(c, "is in scientific notation and has lost digits: export the column as text")}) -%}
        {%- endif -%}
        {%- if c.kind == 'amount' -%}
            {%- do checks.append({'column': c.name, 'check': 'negative', 'when': '(' ~ c.name ~ ' < 0)',
                'says': quanyu.says_value(c, "is negative: land money given back as a refund")}) -%}
        {%- endif -%}
        {%- if c.kind == 'identifier_type' or c.vocabulary is defined -%}
            {%- set seed = c.vocabulary if c.vocabulary is defined else 'identifier_types' -%}
            {%- do checks.append({'column': c.name, 'check': 'unknown',
                'when': '(' ~ x ~ ' is not null and known_' ~ c.name ~ ' is null)',
                'says': quanyu.says_value(c, "is not in the seed " ~ seed ~ ": correct it, or add a row there")}) -%}
        {%- elif c.get('values') is sequence -%}
            {%- set allowed = c['values'] -%}
            {%- do checks.append({'column': c.name, 'check': 'unknown',
                'when': "(" ~ c.name ~ " not in ('" ~ allowed | join("', '") ~ "'))",
                'says': quanyu.says_value(c, "is none of " ~ allowed | join(", "))}) -%}
        {%- endif -%}
        {%- if c.not_after_batch -%}
            {%- do checks.append({'column': c.name, 'check': 'after_batch',
                'when': '(cast(' ~ c.name ~ ' as date) > _batch_date)',
                'says': quanyu.says_value(c, "is after the date of its batch: a wrong clock or the wrong folder")}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(checks) }}
{% endmacro %}


{#- SQL text: the column, the landed value (cut at 60 characters; never a personal one) and what is wrong. -#}
{% macro says_value(column, wrong) -%}
    {%- if column.personal -%}
        '{{ column.name }} {{ wrong }}'
    {%- else -%}
        concat('{{ column.name }} `', substring(text_{{ column.name }}, 1, 60), '` {{ wrong }}')
    {%- endif -%}
{%- endmacro %}

{% macro kind_in_words(kind) %}
    {{ return({
        'timestamp': 'an ISO 8601 time such as 2026-01-31 18:30:00 or 2026-01-31T10:30:00Z',
        'date': 'an ISO 8601 date such as 2026-01-31',
        'amount': 'a decimal number such as 1234.50',
        'number': 'a decimal number such as 1234.50',
        'integer': 'a whole number',
        'flag': 'true or false',
    }[kind]) }}
{% endmacro %}

{#- A number that a spreadsheet has rounded. The LIKE keeps the expression away from ordinary ids. -#}
{% macro is_scientific(x) -%}
    case
        when {{ x }} like '%E+%' or {{ x }} like '%e+%'
            then {{ quanyu.regexp_like(x, "'^[+-]?[0-9]+([.][0-9]+)?[eE][+][0-9]+$'") }}
        else false
    end
{%- endmacro %}

{% macro is_damaged(x) -%}
    {{ x }} like concat('%', chr(0), '%') or {{ x }} like '%�%'
{%- endmacro %}


{#- Whether any check fires on a row of `typed`. -#}
{% macro any_check(checks) -%}
    (
        {%- for check in checks %}
        {{ 'or ' if not loop.first }}coalesce({{ check.when }}, false)
        {%- endfor %}
    )
{%- endmacro %}

{#- All that is wrong with a row of `typed`, or NULL: the sentences of the checks that fire. -#}
{% macro reasons(checks) -%}
    case
        when {{ quanyu.any_check(checks) }}
            then concat_ws(
                '; '
                {%- for check in checks %},
                case when {{ check.when }} then {{ check.says }} end
                {%- endfor %}
            )
    end
{%- endmacro %}


{#- One row per batch of the relation, with a count per check: what the gate judges. A check fires on few rows, so each is
    asked once for all of them together and only where one fires by itself. -#}
{% macro batch_profile(entity_name, relation) -%}
{%- set entity = quanyu.landing_entity(entity_name) -%}
{%- set dated = entity.columns | selectattr('not_after_batch', 'defined') | map(attribute='name') | list -%}
{%- set checks = quanyu.landing_checks(entity) -%}
with landed as {{ quanyu.inline_cte() }} (
    select cast(null as bigint) as load_number, candidate.* from {{ relation }} as candidate
),

{{ quanyu.typed_ctes(entity, has_keys=false) }},

checked as (
    select
        *,
        case when _problem is null then {{ quanyu.quick_hash(entity.key) }} end as profiled_key,
        {{ quanyu.any_check(checks) }} as is_quarantined
    from typed
)

select
    _batch as batch,
    max(_batch_date) as batch_date,
    count(*) as {{ adapter.quote('rows') }},
    sum(case when is_quarantined then 1 else 0 end) as quarantined_rows,
    count(distinct profiled_key) as distinct_keys,
    min(_problem) as row__unsplittable_example,
    {%- for bound in ('min', 'max') %}
    {{ bound }}({{ 'cast(' ~ dated[0] ~ ' as date)' if dated else 'cast(null as date)' }})
        as {{ 'first_day' if bound == 'min' else 'last_day' }},
    {%- endfor %}
    {%- for check in checks %}
    sum(case when is_quarantined then case when {{ check.when }} then 1 else 0 end else 0 end)
        as {{ check.column }}__{{ check.check }}{{ ',' if not loop.last }}
    {%- endfor %}
from checked
group by _batch
{%- endmacro %}
