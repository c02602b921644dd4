{#- Text: what DuckDB and Spark spell or do differently. One dispatched macro per difference. -#}

{#- Trimmed of blanks, tabs, line ends and the full-width blank; the empty string is NULL. -#}
{% macro clean_text(x) %}{{ return(adapter.dispatch('clean_text', 'quanyu')(x)) }}{% endmacro %}

{% macro default__clean_text(x) -%}
    nullif(trim(both ' ' || chr(9) || chr(10) || chr(13) || '　' from {{ x }}), '')
{%- endmacro %}

{#- DuckDB takes the characters to trim as a second argument, as a constant, and looks at every character for it. Nearly no
    text begins or ends with one of them, which is told for a tenth of that: what sorts before `!` is empty or begins
    with a blank or a control character. -#}
{% macro duckdb__clean_text(x) -%}
    case
        when
            {{ x }} < '!' or {{ x }} like '　%' or {{ x }} like '%　'
            or {{ x }} like '% ' or {{ x }} like e'%\t' or {{ x }} like e'%\r' or {{ x }} like e'%\n'
            then nullif(trim({{ x }}, e' \t\r\n　'), '')
        else {{ x }}
    end
{%- endmacro %}


{#- True when the regular expression (a SQL string literal) is found in x. -#}
{% macro regexp_like(x, pattern) %}
    {{- return(adapter.dispatch('regexp_like', 'quanyu')(x, pattern)) -}}
{% endmacro %}

{% macro default__regexp_like(x, pattern) -%}
    {{ x }} rlike r{{ pattern }}
{%- endmacro %}

{% macro duckdb__regexp_like(x, pattern) -%}
    regexp_matches({{ x }}, {{ pattern }})
{%- endmacro %}


{#- Every match replaced (DuckDB replaces only the first unless told). -#}
{% macro regexp_replace_all(x, pattern, replacement) %}
    {{- return(adapter.dispatch('regexp_replace_all', 'quanyu')(x, pattern, replacement)) -}}
{% endmacro %}

{% macro default__regexp_replace_all(x, pattern, replacement) -%}
    regexp_replace({{ x }}, r{{ pattern }}, {{ replacement }})
{%- endmacro %}

{% macro duckdb__regexp_replace_all(x, pattern, replacement) -%}
    regexp_replace({{ x }}, {{ pattern }}, {{ replacement }}, 'g')
{%- endmacro %}


{#- One JSON object with a member per name, read from the column prefix + name; NULLs included. -#}
{% macro row_as_json(names, prefix='') %}
    {{- return(adapter.dispatch('row_as_json', 'quanyu')(names, prefix)) -}}
{% endmacro %}

{% macro default__row_as_json(names, prefix) -%}
    to_json(
        named_struct({% for n in names %}'{{ n }}', {{ prefix ~ n }}{{ ', ' if not loop.last }}{% endfor %}),
        map('ignoreNullFields', 'false')
    )
{%- endmacro %}

{% macro duckdb__row_as_json(names, prefix) -%}
    cast(
        to_json(struct_pack({% for n in names %}{{ n }} := {{ prefix ~ n }}{{ ', ' if not loop.last }}{% endfor %}))
        as {{ dbt.type_string() }}
    )
{%- endmacro %}


{#- What a replacement calls the second group of its pattern. -#}
{% macro second_group() %}{{ return(adapter.dispatch('second_group', 'quanyu')()) }}{% endmacro %}

{% macro default__second_group() %}{{ return("'$2'") }}{% endmacro %}

{% macro duckdb__second_group() %}{{ return("'\\2'") }}{% endmacro %}
