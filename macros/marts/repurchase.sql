{#- Days before and after the due date in which a reminder is in time. -#}
{% macro reminder_lead_days(cycle_days) -%}
    cast(round(greatest({{ var('reminder_min_lead_days') }}, {{ var('reminder_lead_share') }} * {{ cycle_days }})) as integer)
{%- endmacro %}


{#- Band of a buyer by days since the last purchase / expected cycle (METRICS section 8.3). -#}
{% macro churn_band(overdue_ratio) -%}
    case
        when {{ overdue_ratio }} >= {{ var('churn_lost_ratio') }} then 'churned'
        when {{ overdue_ratio }} >= {{ var('churn_warning_ratio') }} then 'warning'
        when {{ overdue_ratio }} >= {{ var('churn_due_ratio') }} then 'due'
        else 'active'
    end
{%- endmacro %}


{#- The texts of a list var as SQL literals. -#}
{% macro text_literals(texts) -%}
    {%- for text in texts -%}'{{ text | replace("'", "''") }}'{{ ', ' if not loop.last }}{%- endfor -%}
{%- endmacro %}
