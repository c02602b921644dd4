{#- Refresh and as-of date at which int_lifecycle__touched_customers (this) last found anybody touched. -#}
{% macro last_touched() %}
    {%- if not is_incremental() -%}{{ return((0, none)) }}{%- endif -%}
    {{ return((
        quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this),
        quanyu.scalar('select max_by(as_of_date, _refresh) from ' ~ this),
    )) }}
{% endmacro %}


{#- True for a time that the as-of date has passed since it was `own_as_of`, or that it has gone back behind. -#}
{% macro became_visible(time, own_as_of) -%}
    {%- set own_as_of = "date '" ~ own_as_of ~ "'" if own_as_of else 'cast(null as date)' -%}
    (
        cast({{ time }} as date) > least((select as_of.as_of_date from as_of), {{ own_as_of }})
        and cast({{ time }} as date) <= greatest((select as_of.as_of_date from as_of), {{ own_as_of }})
    )
{%- endmacro %}
