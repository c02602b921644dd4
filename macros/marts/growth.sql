{#- Settings of int_growth__channel_days (macros/refresh/traced.sql): what an event type is, and the numbers of scopes. -#}
{% macro growth_settings() %}
    {{- return(quanyu.settings_of({
        ref('int_growth__scopes'): ['scope_key', 'brand_scope_key', 'brand_id', 'channel'],
        ref('event_types'): ['event_type'],
        ref('growth_event_roles'): [
            'event_type', 'is_active', 'is_visit', 'is_page_view', 'is_login', 'is_registration', 'is_ad_click', 'is_live',
            'is_benefit_grant', 'is_benefit_use',
        ],
    }, [var('count_anonymous_visitors')])) -}}
{% endmacro %}
