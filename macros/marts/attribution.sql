{#- Attribution models, columns of int_campaigns__credits. -#}
{% macro attribution_models() %}{{ return(['first', 'last', 'linear', 'position', 'time_decay']) }}{% endmacro %}


{#- Weight of a touch-point `days` before the conversion, a whole number: half of it for each half-life, so that sums are
    exact whatever order they are made in. -#}
{% macro decay_weight(days) -%}
    cast(round(1000000000 * power(0.5, cast({{ days }} as double) / {{ var('attribution_half_life_days') }})) as bigint)
{%- endmacro %}
