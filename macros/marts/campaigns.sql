{#- Settings of int_campaigns__reached (macros/refresh/traced.sql). -#}
{% macro reached_settings() %}
    {{- return(quanyu.settings_of({}, [
        var('star_stage_model'), var('campaign_response_days'), var('default_brand_id'), var('count_anonymous_visitors'),
        quanyu.stage_plan().hash if execute else none,
    ])) -}}
{% endmacro %}


{#- Query: customers whom a campaign has met that came, went or changed since this model last ran. Those of its messages
    are among the touched. -#}
{% macro met_by_changed_campaigns() -%}
    {%- set campaigns = 'select campaign_id from ' ~ ref('base_landing__campaigns') ~ ' where _refresh > '
        ~ (quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this) if is_incremental() else 0) -%}
    select customer_key from {{ ref('fct_touchpoints') }} where campaign_id in ({{ campaigns }})
    union
    select customer_key from {{ this }} where campaign_id in ({{ campaigns }})
{%- endmacro %}
