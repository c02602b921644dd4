{#- Query: the facts of a subject that some condition asks for, for as long as they count. `facts` has brand_id,
    customer_key, what a rule may name (name, value, channel), from_day, to_day, weight, and anchor_day, the day from which
    window_days and days_ago count. `terms` is of condition_terms. -#}
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


{#- Subjects that hang on what the customer did and on nothing else that changes: int_audiences__customer_spells. -#}
{% macro subjects_of_customers() -%}
    {{- quanyu.quoted(['behaviour', 'everyone', 'relationship', 'stage', 'flow', 'order']) -}}
{%- endmacro %}


{#- What rows of int_audiences__customer_spells hang on beside their customer: the questions, and what behaviours and stages mean. -#}
{% macro audience_settings() %}
    {{- return(quanyu.settings_of({
        ref('int_audiences__conditions'): [
            'condition_id', 'is_valued', 'subject', 'name', 'value', 'channel', 'measure', 'min_value', 'max_value', 'window_days',
            'days_ago',
        ],
        ref('stage_behaviours'): ['behaviour', 'source', 'name', 'value_from', 'value_below', 'value_unknown'],
        ref('event_types'): ['event_type'],
        ref('stage_models'): ['model', 'version', 'in_force_from', 'is_published'],
        ref('stages'): ['model', 'stage', 'rank'],
        ref('stage_rules'): [
            'model', 'version', 'stage', 'rule_group', adapter.quote('condition'), 'behaviour', 'measure', 'min_value', 'window_days',
        ],
    }, [var('count_anonymous_visitors')])) -}}
{% endmacro %}


{#- CTEs ending in `terms` (one row per thing that a condition names), of the conditions on these subjects. -#}
{% macro condition_terms(subjects) -%}
conditions as (
    select distinct
        condition_id,
        is_valued,
        subject,
        name,
        value,
        channel,
        measure,
        min_value,
        max_value,
        window_days,
        days_ago,
        -- Any fact at all will do, so nothing need be added up.
        measure <> 'amount' and subject <> 'score' and min_value <= 1 and max_value is null as is_any
    from {{ ref('int_audiences__conditions') }}
    where subject {{ subjects }}
),

condition_values as (
    select
        condition_id,
        {{ quanyu.split_items('value') }} as value
    from conditions
),

condition_channels as (
    select
        condition_id,
        {{ quanyu.split_items('channel') }} as channel
    from conditions
),

-- One row per thing that a condition names.
terms as (
    select
        conditions.condition_id,
        conditions.is_valued,
        conditions.subject,
        conditions.name,
        condition_values.value,
        condition_channels.channel,
        conditions.measure,
        conditions.window_days,
        conditions.days_ago,
        conditions.is_any
    from conditions
    inner join condition_values on conditions.condition_id = condition_values.condition_id
    inner join condition_channels on conditions.condition_id = condition_channels.condition_id
)
{%- endmacro %}


{#- Condition on a customer_key: one of the CTE `customers`. Said where facts are read: DuckDB takes what follows several joins
    for a few thousand rows, and would build its hash table on all facts instead of on the customers. -#}
{% macro of_customers() -%}
    in (select customers.customer_key from customers)
{%- endmacro %}


{#- CTEs ending in `answered`: when each of the `conditions` holds, of the CTE `facts`. -#}
{% macro answered_conditions() -%}
in_time as (
    select * from facts
    where from_day < to_day
),

any_fact as (
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        to_day
    from in_time
    where is_any
),

-- A day counts once for `days`, however much happened on it.
weighted as (
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        to_day,
        weight
    from in_time
    where not is_any and measure <> 'days'
    union all
    select
        condition_id,
        brand_id,
        customer_key,
        fact_value,
        from_day,
        max(to_day) as to_day,
        1 as weight
    from in_time
    where not is_any and measure = 'days'
    group by condition_id, brand_id, customer_key, fact_value, from_day
),

answered as (
    {{ quanyu.union_of_spells(
        'any_fact', ['condition_id', 'brand_id', 'customer_key', 'fact_value'],
    ) | indent(4) }}
    union all
    {{ quanyu.spells_where(
        'weighted', ['condition_id', 'brand_id', 'customer_key', 'fact_value'],
        '{total} >= conditions.min_value and (conditions.max_value is null or {total} <= conditions.max_value)',
        'inner join conditions on totals.condition_id = conditions.condition_id',
    ) | indent(4) }}
)
{%- endmacro %}


{#- Query: orders while they are purchases, of the CTEs `as_of` and `customers`. -#}
{% macro purchases_in_force() -%}
    select
        orders.source_system,
        orders.order_id,
        orders.brand_id,
        orders.customer_key,
        orders.channel,
        {{ quanyu.day_number('orders.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('orders.valid_to') }}, {{ quanyu.far_day() }}) as to_day,
        orders.paid_amount
    from {{ ref('fct_orders') }} as orders
    inner join as_of on orders.valid_from <= as_of.as_of_date
    where
        (orders.valid_to is null or orders.valid_to > orders.valid_from)
        and orders.customer_key {{ quanyu.of_customers() }}
{%- endmacro %}
