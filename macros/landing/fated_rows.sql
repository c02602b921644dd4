{#- The body of a base model: every landed row of an entity, typed, with its fate:

      accepted      counts
      duplicate     says what an accepted row says
      superseded    its key landed again later with other values
      quarantined   cannot be used; `_reasons` says why and what to do
      withdrawn     belonged to a delivery of its batch that has been replaced since; kept so that whoever it
                    concerned is computed again, it is no landed row any more

    Of the rows of one key the last one, by batch date, file and row, says what holds; of the rows that say exactly
    this the first is the accepted one, so that landing the same rows again changes nothing.

    A refresh reads the new loads only and judges again the keys that occur in them or in a replaced delivery.
    `_refresh` is the refresh that last changed the fate of the row. -#}
{% macro fated_rows(entity_name) %}
{%- do source('landing', entity_name) -%}
{%- set batches = ref('batches') -%}
{%- set entity = quanyu.landing_entity(entity_name) -%}
{%- set names = entity.columns | map(attribute='name') | list -%}
{%- set identifier_keys = entity.columns | selectattr('kind', 'equalto', 'identifier_value')
    | map(attribute='name') | map('replace', '_value', '_key') | list -%}
{%- set row_columns = ['_batch', '_batch_date', '_file', '_row', '_landed_load', '_reasons', '_raw', '_key']
    + names + identifier_keys -%}
{%- set known_load = 0 -%}
{%- if is_incremental() -%}
    {%- set known_load = quanyu.scalar('select coalesce(max(_landed_load), 0) from ' ~ this) -%}
{%- endif -%}
with lake as {{ quanyu.inline_cte() }} (
    {{ quanyu.lake_rows(entity_name, names, known_load) }}
),

new_batches as (
    select
        batch,
        load_number
    from {{ batches }}
    where entity = '{{ entity_name }}' and load_number > {{ known_load }}
),

landed as {{ quanyu.inline_cte() }} (
    select lake.*
    from lake
    inner join new_batches
        on lake._batch = new_batches.batch and lake.load_number = new_batches.load_number
),

{{ quanyu.typed_ctes(entity) }},

arrived as {{ quanyu.inline_cte() }} (
    select
        _batch,
        _batch_date,
        _file,
        _row,
        load_number as _landed_load,
        {{ quanyu.reasons(quanyu.landing_checks(entity)) }} as _reasons,
        case
            when _problem is not null then _raw
            when _reasons is not null then {{ quanyu.row_as_json(names, 'landed_') }}
        end as _raw,
        _key
        {%- for name in names + identifier_keys %},
        {{ name }}
        {%- endfor %}
    from typed
),
{% if is_incremental() %}
concerned as (
    select _key from arrived
    union
    select known._key
    from {{ this }} as known
    inner join new_batches on known._batch = new_batches.batch
    where known._fate <> 'withdrawn'
),
{% endif %}
in_play as {{ quanyu.inline_cte() }} (
    select
        {{ row_columns | join(',\n        ') }},
        cast(null as {{ dbt.type_string() }}) as was_fate,
        cast(null as bigint) as was_refresh,
        false as is_withdrawn
    from arrived
    {%- if is_incremental() %}
    union all
    select
        known.{{ row_columns | join(',\n        known.') }},
        known._fate as was_fate,
        known._refresh as was_refresh,
        known._fate = 'withdrawn' or new_batches.batch is not null as is_withdrawn
    from {{ this }} as known
    inner join concerned on known._key = concerned._key
    left join new_batches on known._batch = new_batches.batch
    {%- endif %}
),

repeated_keys as (
    select _key
    from in_play
    where _reasons is null and not is_withdrawn
    group by _key
    having count(*) > 1
),

uncontested as {{ quanyu.inline_cte() }} (
    select
        in_play.*,
        case
            when in_play.is_withdrawn then 'withdrawn'
            when in_play._reasons is not null then 'quarantined'
            else 'accepted'
        end as _fate
    from in_play
    left join repeated_keys on in_play._key = repeated_keys._key
    where repeated_keys._key is null or in_play.is_withdrawn or in_play._reasons is not null
),

contested as (
    select
        in_play.*,
        {{ quanyu.row_as_json(names, 'in_play.') }} as content
    from in_play
    inner join repeated_keys on in_play._key = repeated_keys._key
    where in_play._reasons is null and not in_play.is_withdrawn
),

compared as (
    select
        *,
        first_value(content) over (
            partition by {{ entity.key | join(', ') }}
            order by _batch_date desc nulls last, _file desc, _row desc
        ) as last_content
    from contested
),

contest_judged as (
    select
        {{ row_columns | join(',\n        ') }},
        was_fate,
        was_refresh,
        is_withdrawn,
        case
            when content <> last_content then 'superseded'
            when row_number() over (
                partition by {{ (entity.key + ['content']) | join(', ') }}
                order by _batch_date asc nulls first, _file asc, _row asc
            ) = 1 then 'accepted'
            else 'duplicate'
        end as _fate
    from compared
),

fated as {{ quanyu.inline_cte() }} (
    select * from uncontested
    union all
    select * from contest_judged
)

select
    {{ row_columns | join(',\n    ') }},
    _fate,
    case when _fate = was_fate then was_refresh else {{ quanyu.refresh_number() }} end as _refresh
from fated
{% endmacro %}
