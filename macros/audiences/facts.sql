{#- Query: the facts of a subject that some condition asks for, for as long as they count. `facts` has brand_id,
    customer_key, what a rule may name (name, value, channel), from_day, to_day, weight, and anchor_day, the day from which
    window_days and days_ago count. `terms` is a CTE of int_audiences__condition_spells. -#}
{% macro facts_of_subject(facts, subject, has_value=true, has_channel=false) %}
    select
        terms.condition_id,
        facts.brand_id,
        facts.customer_key,
        case when terms.is_valued then facts.value else '' end as fact_value,
        terms.measure,
        terms.is_any,
        greatest(facts.from_day, facts.anchor_day + coalesce(terms.days_ago, 0)) as from_day,
        least(facts.to_day, coalesce(facts.anchor_day + terms.window_days, {{ quanyu.far_day() }})) as to_day,
        cast(facts.weight as decimal(18, 4)) as weight
    from {{ facts }} as facts
    inner join terms
        on
            terms.subject = '{{ subject }}'
            and facts.name = terms.name
            {%- if has_value %}
            and (terms.value = '*' or facts.value = terms.value)
            {%- endif %}
            {%- if has_channel %}
            and (terms.channel = '*' or facts.channel = terms.channel)
            {%- endif %}
{%- endmacro %}
