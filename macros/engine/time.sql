{#- Business time of an ISO 8601 text. With an offset it is converted to the business time zone, without one it
    is in it already. NULL when the text is not ISO 8601 (`infinity`, `2026/1/5` and `epoch` included, which
    DuckDB's own cast would take). -#}
{% macro business_timestamp(x) %}
    {{- return(adapter.dispatch('business_timestamp', 'quanyu')(x)) -}}
{% endmacro %}

{% macro default__business_timestamp(x) -%}
    case
        when {{ quanyu.regexp_like(x, quanyu.iso_local_pattern()) }}
            then try_cast({{ x }} as timestamp_ntz)
        when {{ quanyu.regexp_like(x, quanyu.iso_offset_pattern()) }}
            then convert_timezone(
                current_timezone(), '{{ var("business_timezone") }}',
                cast(try_cast({{ quanyu.with_seconds_and_colon(x) }} as timestamp_ltz) as timestamp_ntz)
            )
    end
{%- endmacro %}

{#- The LIKEs settle nearly every row without a regular expression. -#}
{% macro duckdb__business_timestamp(x) -%}
    case
        when {{ x }} like '____-__-__ __:__:__' or {{ x }} like '____-__-__T__:__:__'
            then try_cast({{ x }} as timestamp)
        when {{ x }} like '____-__-__T__:__:__Z' or {{ x }} like '____-__-__T__:__:__+__:__'
            then timezone('{{ var("business_timezone") }}', try_cast({{ x }} as timestamptz))
        when {{ quanyu.regexp_like(x, quanyu.iso_local_pattern()) }}
            then try_cast({{ x }} as timestamp)
        when {{ quanyu.regexp_like(x, quanyu.iso_offset_pattern()) }}
            then timezone(
                '{{ var("business_timezone") }}',
                try_cast({{ quanyu.with_seconds_and_colon(x) }} as timestamptz)
            )
    end
{%- endmacro %}

{#- The engines read an offset only right behind seconds, and only with a colon between its hours and minutes. -#}
{% macro with_seconds_and_colon(x) %}{{ return(adapter.dispatch('with_seconds_and_colon', 'quanyu')(x)) }}{% endmacro %}

{% macro default__with_seconds_and_colon(x) -%}
    regexp_replace(
        regexp_replace(
            regexp_replace(upper({{ x }}), r' ([Z+-])', '$1'),
            r'([T ][0-9]{2}:[0-9]{2})([Z+-].*)$', '$1:00$2'
        ),
        r'([+-][0-9]{2})([0-9]{2})$', '$1:$2'
    )
{%- endmacro %}

{% macro duckdb__with_seconds_and_colon(x) -%}
    regexp_replace(
        regexp_replace(
            regexp_replace({{ x }}, ' ([Zz+-])', '\1'),
            '([T ][0-9]{2}:[0-9]{2})([Zz+-].*)$', '\1:00\2'
        ),
        '([+-][0-9]{2})([0-9]{2})$', '\1:\2'
    )
{%- endmacro %}

{% macro iso_local_pattern() -%}
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?)?$'
{%- endmacro %}

{% macro iso_offset_pattern() -%}
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)? ?(Z|z|[+-][0-9]{2}(:?[0-9]{2})?)$'
{%- endmacro %}


{#- The day of an ISO date; a timestamp at midnight, as spreadsheets write dates, is that day too. -#}
{% macro business_date(x) -%}
    case
        when {{ x }} like '____-__-__' then try_cast({{ x }} as date)
        when {{ quanyu.regexp_like(x, "'^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]00:00(:00([.]0+)?)?$'") }}
            then try_cast(substring({{ x }}, 1, 10) as date)
    end
{%- endmacro %}


{#- A date n days later (n may be negative), as a date. -#}
{% macro add_days(date, n) %}{{ return(adapter.dispatch('add_days', 'quanyu')(date, n)) }}{% endmacro %}

{% macro default__add_days(date, n) -%}
    date_add({{ date }}, cast({{ n }} as int))
{%- endmacro %}

{% macro duckdb__add_days(date, n) -%}
    ({{ date }} + cast({{ n }} as integer))
{%- endmacro %}


{#- Whole days from one date to a later one. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'quanyu')(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    datediff({{ later }}, {{ earlier }})
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}
    ({{ later }} - {{ earlier }})
{%- endmacro %}


{#- A point of business time without a zone. -#}
{% macro type_local_timestamp() %}{{ return(adapter.dispatch('type_local_timestamp', 'quanyu')()) }}{% endmacro %}

{% macro default__type_local_timestamp() %}{{ return('timestamp_ntz') }}{% endmacro %}

{% macro duckdb__type_local_timestamp() %}{{ return('timestamp') }}{% endmacro %}
