{#- 63 bits of the MD5 of a text, as a positive bigint: the same number on every engine and version, because
    stored keys are compared with keys computed later. -#}
{% macro hash63(text) %}{{ return(adapter.dispatch('hash63', 'quanyu')(text)) }}{% endmacro %}

{#- The first eight bytes, the last of them first: `translate` puts the 16 hex digits in that order. -#}
{% macro default__hash63(text) -%}
    shiftrightunsigned(cast(conv(
        translate('uvstqropmnklijgh', 'ghijklmnopqrstuv', substring(md5({{ text }}), 1, 16)), 16, -10
    ) as bigint), 1)
{%- endmacro %}

{% macro duckdb__hash63(text) -%}
    cast(md5_number_upper({{ text }}) >> 1 as bigint)
{%- endmacro %}


{#- Key of several columns: separated, NULL told apart from the empty string. -#}
{% macro hash63_of(columns) -%}
    {{ quanyu.hash63(quanyu.joined_text(columns)) }}
{%- endmacro %}

{% macro joined_text(columns) -%}
    concat_ws(
        '|'
        {%- for c in columns %},
        coalesce(cast({{ c }} as {{ dbt.type_string() }}), '~'){% endfor %}
    )
{%- endmacro %}


{#- SHA-256 of a text in lower-case hex. -#}
{% macro sha256_hex(text) %}{{ return(adapter.dispatch('sha256_hex', 'quanyu')(text)) }}{% endmacro %}

{% macro default__sha256_hex(text) -%}
    sha2({{ text }}, 256)
{%- endmacro %}

{% macro duckdb__sha256_hex(text) -%}
    sha256({{ text }})
{%- endmacro %}


{#- 64 bits of several columns by the engine's own hash: many times cheaper, but another number on another engine or
    version. Only to count within a statement, never to keep. -#}
{% macro quick_hash(columns) %}{{ return(adapter.dispatch('quick_hash', 'quanyu')(columns)) }}{% endmacro %}

{% macro default__quick_hash(columns) -%}
    xxhash64({{ columns | join(', ') }})
{%- endmacro %}

{% macro duckdb__quick_hash(columns) -%}
    hash({{ columns | join(', ') }})
{%- endmacro %}
