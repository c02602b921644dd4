{#- The body of a base model: every landed row of an entity, typed, with its fate:

      accepted      counts
      duplicate     says what an accepted row says
      superseded    its key landed again later with other values
      quarantined   cannot be used; `_reasons` says why and what to do
      withdrawn     belonged to a delivery of its batch that has been replaced since, or to a person who has been
                    erased; kept so that whoever it concerned is computed again, it is no landed row any more
      erased        belonged to a person who has been erased: nothing is left but its place (macros/landing/erasing.sql)

    Of the rows of one key the last one, by batch date, file and row, says what holds; of the rows that say exactly
    this the first is the accepted one, so that landing the same rows again changes nothing.

    A refresh reads the new loads only and judges again the keys that occur in them or in a replaced delivery.
    `_refresh` is the refresh that last changed the fate of the row. -#}
{% macro fated_rows(entity_name) %}
{%- do source('landing', entity_name) -%}
{%- set batches = ref('batches') -%}
{%- set entity = quanyu.landing_entity(entity_name) -%}
{%- set names = entity.columns | map(attribute='name') | list -%}
{%- set row_columns = quanyu.fated_columns(entity) -%}
{%- set known_load = 0 -%}
{%- if is_incremental() -%}
    {%- set known_load = quanyu.scalar('select coalesce(max(_landed_load), 0) from ' ~ this) -%}
{%- endif -%}
{%- set erasing = quanyu.erasing(entity) -%}
{%- set arriving -%}
with lake as {{ quanyu.inline_cte() }} (
    {{ quanyu.lake_rows(entity_name, names, known_load) }}
),

landed as {{ quanyu.inline_cte() }} (
    select lake.*
    from lake
    inner join {{ batches }} as batches
        on lake._batch = batches.batch and lake.load_number = batches.load_number
    where batches.entity = '{{ entity_name }}' and batches.load_number > {{ known_load }}
),

{{ quanyu.typed_ctes(entity) }},

{{ quanyu.arrived_cte(entity) }}
{%- endset -%}
{%- set arrived_table = quanyu.held_cte('arrived', arriving ~ ' select * from arrived') -%}
{%- if arrived_table %}
with arrived as (
    select * from {{ arrived_table }}
),
{%- else %}
{{ arriving }},
{%- endif %}

new_batches as (
    select
        batch,
        load_number
    from {{ batches }}
    where entity = '{{ entity_name }}' and load_number > {{ known_load }}
),
{% if is_incremental() %}
concerned as (
    select _key from arrived
    union
    select known._key
    from {{ this }} as known
    inner join new_batches on known._batch = new_batches.batch
    where known._fate <> 'withdrawn'
    {%- if erasing.known %}
    union
    {{ quanyu.keys_to_erase(entity, erasing) }}
    {%- endif %}
),
{% endif %}
{%- if erasing.rules %}
{{ quanyu.seen_cte(entity, erasing, 'arrived', 'concerned') }},
{% endif %}
in_play as {{ quanyu.inline_cte() }} (
    {%- if erasing.rules %}
    {{ quanyu.erased_rows(entity, erasing) }}
    {%- else %}
    {{ quanyu.rows_in_play(entity, 'arrived', 'concerned') }}
    {%- endif %}
),

-- Rows that cannot be used count here too, though they contest nothing: leaving them out would cost the checks of
-- every row once more.
repeated_keys as (
    select _key
    from in_play
    where not is_withdrawn
    group by _key
    having count(*) > 1
),

uncontested as {{ quanyu.inline_cte() }} (
    select
        in_play.*,
        case
            when in_play.is_withdrawn then 'withdrawn'
            when in_play._erased = 'row' then 'erased'
            when in_play._reasons is not null then 'quarantined'
            else 'accepted'
        end as _fate
    from in_play
    left join repeated_keys on in_play._key = repeated_keys._key
    where repeated_keys._key is null or in_play.is_withdrawn or in_play._reasons is not null
),

{% if arrived_table -%}
contested_arrived as (
    select arrived.*
    from arrived
    inner join repeated_keys on arrived._key = repeated_keys._key
),
{%- else -%}
-- The few rows in a contest are found by their keys first and typed by themselves, which halves the cost of a load.
repeated_places as (
    select
        arrived._file,
        arrived._row
    from arrived
    inner join repeated_keys on arrived._key = repeated_keys._key
),

contested_landed as {{ quanyu.inline_cte() }} (
    select landed.*
    from landed
    inner join repeated_places
        on landed._file = repeated_places._file and landed._row = repeated_places._row
),

{{ quanyu.typed_ctes(entity, 'contested_') }},

{{ quanyu.arrived_cte(entity, 'contested_') }},
{%- endif %}

{%- if erasing.rules %}
{{ quanyu.seen_cte(entity, erasing, 'contested_arrived', 'repeated_keys', 'contested_') }},
{% endif %}
contested_in_play as (
    {%- if erasing.rules %}
    {{ quanyu.erased_rows(entity, erasing, 'contested_') }}
    {%- else %}
    {{ quanyu.rows_in_play(entity, 'contested_arrived', 'repeated_keys') }}
    {%- endif %}
),

-- An erased row has left the contest, though others of its key go on: a device is his until it is somebody else's.
contested as (
    select
        *,
        {{ quanyu.row_as_json(names) }} as content
    from contested_in_play
    where _reasons is null and not is_withdrawn and (_erased is null or _erased <> 'row')
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


{#- Columns of a row besides its fate: where it came from, what is wrong with it, its contract columns and keys. -#}
{% macro fated_columns(entity) %}
    {%- set identifier_keys = entity.columns | selectattr('kind', 'equalto', 'identifier_value')
        | map(attribute='name') | map('replace', '_value', '_key') | list -%}
    {{ return(
        ['_batch', '_batch_date', '_file', '_row', '_landed_load', '_reasons', '_raw', '_erased', '_key']
        + entity.columns | map(attribute='name') | list + identifier_keys
    ) }}
{% endmacro %}


{#- CTE of newly landed rows with what is wrong with them, over a CTE `typed`. -#}
{% macro arrived_cte(entity, prefix='') -%}
{{ prefix }}arrived as {{ quanyu.inline_cte() }} (
    select
        load_number as _landed_load,
        {{ quanyu.reasons_unless_erased(quanyu.landing_checks(entity)) }} as _reasons,
        landed_erased as _erased,
        case
            when _problem is not null then _raw
            when _reasons is not null
                then {{ quanyu.row_as_json(entity.columns | map(attribute='name') | list, 'landed_') }}
        end as _raw
        {%- for name in quanyu.fated_columns(entity) if name not in ['_landed_load', '_reasons', '_raw', '_erased', '_key'] %},
        {% if name == 'brand_id' -%}
        case when landed_erased is null or landed_erased <> 'row' then brand_id end as brand_id
        {%- else -%}
        {{ name }}
        {%- endif %}
        {%- endfor %},
        case when landed_erased = 'row' then {{ quanyu.erased_key() }} else _key end as _key
    from {{ prefix }}typed
)
{%- endmacro %}


{#- Newly landed rows and, in a refresh, the known rows with one of `keys`; with the fate that these had, and whether
    their delivery has been replaced. -#}
{% macro rows_in_play(entity, arrived, keys) -%}
{%- set columns = quanyu.fated_columns(entity) -%}
    select
        {{ columns | join(',\n        ') }},
        cast(null as {{ dbt.type_string() }}) as was_fate,
        cast(null as bigint) as was_refresh,
        false as is_withdrawn
    from {{ arrived }}
    {%- if is_incremental() %}
    union all
    select
        known.{{ columns | join(',\n        known.') }},
        known._fate as was_fate,
        known._refresh as was_refresh,
        known._fate = 'withdrawn' or new_batches.batch is not null as is_withdrawn
    from {{ this }} as known
    inner join {{ keys }} on known._key = {{ keys }}._key
    left join new_batches on known._batch = new_batches.batch
    {%- endif %}
{%- endmacro %}
