{#- The id by which marts know a customer: salted, because a bare hash of a phone number can be guessed by trying
    all phone numbers. The salt comes from the environment (QUANYU_SALT); keep it, another salt is other ids. -#}
{% macro public_customer_id(identifier_type, identifier_value) -%}
    concat('C', upper(substring(md5(concat(
        '{{ env_var("QUANYU_SALT", "") | replace("'", "''") }}|', {{ identifier_type }}, '|', {{ identifier_value }}
    )), 1, 16)))
{%- endmacro %}


{#- Key of a membership's own identifier, its member_id. -#}
{% macro member_key() -%}
    {{ quanyu.hash63_of(["'member_id'", 'member_id']) }}
{%- endmacro %}
