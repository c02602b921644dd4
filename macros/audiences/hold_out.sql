{#- True for the members of an audience who get no message. It hangs on the audience, the customer and the var hold_out_salt
    alone: the same on every day and in every rebuild, independent between audiences. Raising the share keeps who is held out. -#}
{% macro is_hold_out(audience, customer_id, share) -%}
    {{ quanyu.hash63("concat('" ~ var('hold_out_salt') | string | replace("'", "''") ~ "|', " ~ audience ~ ", '|', "
        ~ customer_id ~ ")") }} % 10000 < round({{ share }} * 10000)
{%- endmacro %}
