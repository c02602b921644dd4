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


{#- Days until the next purchase that a person's own past and the cycle of the brand or category let expect:
    w * mean gap + (1 - w) * cycle with w = gaps / (gaps + k). Gaps * mean gap is the span from first to last day. -#}
{% macro expected_cycle(span_days, purchase_days, cycle_days) -%}
    (({{ span_days }} + {{ var('repurchase_shrinkage') }} * {{ cycle_days }})
    / ({{ purchase_days }} - 1 + {{ var('repurchase_shrinkage') }}))
{%- endmacro %}


{#- First day on which a person is overdue by `ratio` (a var; default: churned). -#}
{% macro churned_on(last_purchase_on, expected_cycle_days, ratio=none) -%}
    {{ quanyu.add_days(
        last_purchase_on,
        'ceil(' ~ (var('churn_lost_ratio') if ratio is none else ratio) ~ ' * greatest(' ~ expected_cycle_days ~ ', 1))'
    ) }}
{%- endmacro %}
