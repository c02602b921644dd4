{#- True for a time that the as-of date has passed since it was `own_as_of`, or that it has gone back behind. -#}
{% macro became_visible(time, own_as_of) -%}
    {%- set own_as_of = "date '" ~ own_as_of ~ "'" if own_as_of else 'cast(null as date)' -%}
    (
        cast({{ time }} as date) > least((select as_of.as_of_date from as_of), {{ own_as_of }})
        and cast({{ time }} as date) <= greatest((select as_of.as_of_date from as_of), {{ own_as_of }})
    )
{%- endmacro %}
