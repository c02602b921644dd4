{#- Attribution models, columns of int_campaigns__credits. -#}
{% macro attribution_models() %}{{ return(['first', 'last', 'linear', 'position', 'time_decay']) }}{% endmacro %}


{#- Weight of a touch-point `days` before the conversion, a whole number: half of it for each half-life, so that sums are
    exact whatever order they are made in. -#}
{% macro decay_weight(days) -%}
    cast(round(1000000000 * power(0.5, cast({{ days }} as double) / {{ var('attribution_half_life_days') }})) as bigint)
{%- endmacro %}


{#- Settings of int_campaigns__shares (macros/refresh/traced.sql). Time alone moves nobody up a stage, so the as-of date
    is none of them. -#}
{% macro credit_settings() %}
    {{- return(quanyu.settings_of({ref('stages'): ['model', 'stage', adapter.quote('rank')]}, [
        var('attribution_window_days'), var('attribution_half_life_days'), var('attribution_position_weight'),
        var('attribution_ignored_events'), var('attribution_stage_model'), var('default_brand_id'),
        var('count_anonymous_visitors'), quanyu.stage_plan().hash if execute else none,
    ])) -}}
{% endmacro %}
