{#- Erasure on the way in (docs/privacy.md). `audit.suppressed_identifiers` lists the erased identifiers as salted hashes.
    A row of which a required identifier is listed loses all but its place (fate `erased`); an optional one is blanked:
    an order stays as anonymous money. `_erased` says which: `row`, or what was blanked. The lake keeps the same words in
    `_problem`, so that a rebuild ends in the same rows. -#}

{#- Marker of an erased lake row, before the words of `_erased`. -#}
{% macro erased_marker() %}{{ return('erased: ') }}{% endmacro %}

{% macro landed_erased() -%}
    case when _problem like '{{ quanyu.erased_marker() }}%' then substring(_problem, {{ quanyu.erased_marker() | length + 1 }}) end
{%- endmacro %}

{% macro problem_unless_erased() -%}
    case when _problem not like '{{ quanyu.erased_marker() }}%' then _problem end
{%- endmacro %}

{#- An erased row has nothing left that could be wrong. -#}
{% macro reasons_unless_erased(checks) -%}
    case when landed_erased is null or landed_erased <> 'row' then {{ quanyu.reasons(checks) }} end
{%- endmacro %}

{#- Key of an erased row: the natural key named the person. -#}
{% macro erased_key() -%}
    {{ quanyu.hash63_of(["'erased'", '_file', '_row']) }}
{%- endmacro %}


{#- What the suppression list keeps of an identifier: a salted hash of its key. -#}
{% macro suppressed_key(key) -%}
    {{ quanyu.hash63("concat('" ~ (env_var('QUANYU_SALT', '') | replace("'", "''")) ~ "|suppressed|', cast(" ~ key ~ " as "
        ~ dbt.type_string() ~ '))') }}
{%- endmacro %}


{#- {rules, known, times} of an entity: its identifiers with what becomes of a row that names an erased one, empty as
    long as nobody has been erased. `known`: identifiers were listed since the model last changed, so that rows it holds
    already have to be looked at too. A rule is {key, label, blanks}; one without `blanks` takes the whole row. -#}
{% macro erasing(entity) %}
    {%- set suppressed = ref('suppressed_identifiers') -%}
    {%- set result = {'rules': [], 'known': false, 'own': 0} -%}
    {%- if not execute or not load_relation(suppressed) -%}{{ return(result) }}{%- endif -%}
    {%- set since = run_query('select max(since_refresh) from ' ~ suppressed).rows[0][0] -%}
    {%- if since is none -%}{{ return(result) }}{%- endif -%}
    {%- for column in entity.columns -%}
        {%- if column.kind == 'identifier_value' -%}
            {%- set key = column.name | replace('_value', '_key') -%}
            {%- do result.rules.append({
                'key': key, 'label': column.name | replace('_value', ''),
                'blanks': [] if column.required else [column.type_column, column.name, key],
            }) -%}
        {%- elif column.kind in ('phone', 'email') -%}
            {%- do result.rules.append({
                'key': quanyu.contact_key(column.name), 'label': column.name, 'blanks': [column.name],
            }) -%}
        {%- elif column.name == 'member_id' -%}
            {%- do result.rules.append({'key': quanyu.member_key(), 'label': 'member', 'blanks': []}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if is_incremental() and result.rules -%}
        {%- do result.update({'own': quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this)}) -%}
        {%- do result.update({'known': since >= result.own}) -%}
    {%- endif -%}
    {{ return(result) }}
{% endmacro %}


{#- Business time of a row: the first time of the contract, else its batch, else before all others. A shared device is
    erased for the time in which the person had it. -#}
{% macro row_time(entity) -%}
    {%- set times = entity.columns | selectattr('kind', 'equalto', 'timestamp') | map(attribute='name') | list -%}
    coalesce({{ (times[:1] + ['cast(_batch_date as ' ~ quanyu.type_local_timestamp() ~ ')']) | join(', ') }},
        {{ quanyu.time_literal('0001-01-01') }})
{%- endmacro %}

{% macro time_literal(day) -%}
    cast('{{ day }} 00:00:00' as {{ quanyu.type_local_timestamp() }})
{%- endmacro %}


{#- The list, under names that no contract column has; a spell for every identifier, so that a time is compared with
    both ends and nothing else: with an `or`, DuckDB would compare every row with every identifier. What is erased for
    good is erased for rows without a time too. -#}
{% macro listed_identifiers() -%}
    (
        select
            suppressed_key,
            case when is_forever then {{ quanyu.time_literal('0001-01-01') }}
                else coalesce(valid_from, {{ quanyu.time_literal('0001-01-02') }})
            end as listed_from,
            case when is_forever then {{ quanyu.time_literal('9999-12-31') }}
                else coalesce(valid_to, {{ quanyu.time_literal('9999-12-31') }})
            end as listed_to,
            since_refresh
        from {{ ref('suppressed_identifiers') }}
    )
{%- endmacro %}


{#- Join condition: the row's time is within the listed spell. -#}
{% macro is_listed_then(entity, listed) -%}
    {{ quanyu.row_time(entity) }} >= {{ listed }}.listed_from
    and {{ quanyu.row_time(entity) }} < {{ listed }}.listed_to
{%- endmacro %}


{#- Keys of known rows that name an identifier listed since. Hashing is dear: it is done once per identifier, not per row,
    and in a column of its own: as an expression in the join it would be done for every pair of identifier and listed one. -#}
{% macro keys_to_erase(entity, erasing) -%}
    {%- for rule in erasing.rules %}
    select known._key
    from {{ this }} as known
    inner join (
        select
            hashed.known_key,
            listed.*
        from (
            select
                named.known_key,
                {{ quanyu.suppressed_key('named.known_key') }} as known_hash
            from (
                select distinct {{ rule.key }} as known_key
                from {{ this }}
                where _fate not in ('withdrawn', 'erased', 'quarantined')
            ) as named
        ) as hashed
        inner join {{ quanyu.listed_identifiers() }} as listed
            on hashed.known_hash = listed.suppressed_key and listed.since_refresh >= {{ erasing.own }}
    ) as listed
        on {{ rule.key }} = listed.known_key and {{ quanyu.is_listed_then(entity, 'listed') }}
    where known._fate not in ('withdrawn', 'erased', 'quarantined')
    {{ 'union' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- CTEs that end in `seen`: the rows in play, with a flag per rule that says whether its identifier is listed. Rows in
    quarantine count for nothing; orchestration/erasure.py looks into their text. -#}
{% macro seen_cte(entity, erasing, arrived, keys, prefix='') -%}
{{ prefix }}unmarked as {{ quanyu.inline_cte() }} (
    {{ quanyu.rows_in_play(entity, arrived, keys) }}
),

{{ prefix }}hashed as {{ quanyu.inline_cte() }} (
    select
        *
        {%- for rule in erasing.rules %},
        case when _reasons is null and not is_withdrawn then {{ quanyu.suppressed_key(rule.key) }} end as hash_{{ loop.index }}
        {%- endfor %}
    from {{ prefix }}unmarked
),

{{ prefix }}seen as {{ quanyu.inline_cte() }} (
    select
        hashed.*
        {%- for rule in erasing.rules %},
        listed_{{ loop.index }}.suppressed_key is not null as names_erased_{{ loop.index }}
        {%- endfor %}
    from {{ prefix }}hashed as hashed
    {%- for rule in erasing.rules %}
    left join {{ quanyu.listed_identifiers() }} as listed_{{ loop.index }}
        on
            hashed.hash_{{ loop.index }} = listed_{{ loop.index }}.suppressed_key
            and {{ quanyu.is_listed_then(entity, 'listed_' ~ loop.index) }}
    {%- endfor %}
)
{%- endmacro %}


{#- The rows in play without what must go; and beside them, as they were and withdrawn, those that identity has seen or
    has to see (`known`; `late`: a link that says who else the erased person is). orchestration/erasure.py removes
    them when the refresh ends. -#}
{% macro erased_rows(entity, erasing, prefix='') -%}
    {%- set columns = quanyu.fated_columns(entity) -%}
    {%- set any, row, blanks = [], [], [] -%}
    {%- for rule in erasing.rules -%}
        {%- do any.append('names_erased_' ~ loop.index) -%}
        {%- do (blanks if rule.blanks else row).append(loop.index) -%}
    {%- endfor -%}
    {%- set whole_row -%}
        ({% for number in row %}{{ 'or ' if not loop.first }}names_erased_{{ number }} {% endfor %}{{ 'false' if not row }})
    {%- endset -%}
    select
        {%- for column in columns %}
        {%- set hit = [] -%}
        {%- for rule in erasing.rules if column in rule.blanks -%}
            {%- do hit.append('names_erased_' ~ (erasing.rules.index(rule) + 1)) -%}
        {%- endfor %}
        {%- if column == '_erased' %}
        case
            when {{ whole_row }} then 'row'
            {%- if blanks %}
            when {{ any | join(' or ') }} or _erased is not null
                then nullif(concat_ws(
                    ','
                    {%- for number in blanks %},
                    case
                        when
                            names_erased_{{ number }}
                            or concat(',', _erased, ',') like '%,{{ erasing.rules[number - 1].label }},%'
                            then '{{ erasing.rules[number - 1].label }}'
                    end
                    {%- endfor %},
                    case when _erased = 'row' then 'row' end
                ), '')
            {%- else %}
            else _erased
            {%- endif %}
        end as _erased,
        {%- elif column == '_key' %}
        case when {{ whole_row }} then {{ quanyu.erased_key() }} else _key end as _key,
        {%- elif column in ['_batch', '_batch_date', '_file', '_row', '_landed_load'] %}
        {{ column }},
        {%- else %}
        case when not ({{ ([whole_row | string] + hit) | join(' or ') }}) then {{ column }} end as {{ column }},
        {%- endif %}
        {%- endfor %}
        case when not ({{ any | join(' or ') }}) then was_fate end as was_fate,
        case when not ({{ any | join(' or ') }}) then was_refresh end as was_refresh,
        is_withdrawn
    from {{ prefix }}seen
    union all
    select
        {%- for column in columns %}
        {% if column == '_erased' -%}
        case when was_fate is null then 'late' else 'known' end as _erased,
        {%- else -%}
        {{ column }},
        {%- endif %}
        {%- endfor %}
        was_fate,
        was_refresh,
        true as is_withdrawn
    from {{ prefix }}seen
    where
        ({{ any | join(' or ') }})
        {%- if entity.name not in ['identity_links', 'memberships', 'profiles'] %}
        and was_fate is not null
        {%- endif %}
{%- endmacro %}
