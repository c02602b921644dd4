{#- Normalised forms: two spellings of one id become one text. `x` is clean already (clean_text). -#}

{#- A mobile number as 11 digits: full-width digits, blanks, hyphens, +86 and 0086 go. A digest (MD5 or SHA-256 in
    hex) is kept, in lower case; any other number keeps its digits. -#}
{% macro normalise_phone(x) -%}
    case
        when length({{ x }}) = 11 and {{ quanyu.regexp_like(x, "'^1[0-9]{10}$'") }} then {{ x }}
        when {{ quanyu.regexp_like(x, "'^([0-9a-fA-F]{32}|[0-9a-fA-F]{64})$'") }} then lower({{ x }})
        else nullif({{ quanyu.regexp_replace_all(
            quanyu.regexp_replace_all(
                "translate(" ~ x ~ ", '０１２３４５６７８９', '0123456789')", "'[^0-9]'", "''"
            ),
            "'^(0086|86)(1[0-9]{10})$'", quanyu.second_group()
        ) }}, '')
    end
{%- endmacro %}

{% macro normalise_email(x) -%}
    lower({{ x }})
{%- endmacro %}

{#- The value of an identifier under the normaliser that the seed identifier_types names for its type. -#}
{% macro normalise_identifier(normaliser, x) -%}
    case {{ normaliser }}
        when 'phone' then {{ quanyu.normalise_phone(x) }}
        when 'email' then {{ quanyu.normalise_email(x) }}
        else {{ x }}
    end
{%- endmacro %}
