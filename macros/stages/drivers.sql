{#- What fast_drivers explains: {metric: {model, stages, lag}} of the metrics that count customers in some stages of a
    model, `lag` days before; and {rate: [numerator, denominator]}. All are columns of fast_daily. -#}
{% macro fast_sets() %}
    {%- set model = var('fast_stage_model') -%}
    {%- set sets = {
        'fertility': {'model': model, 'stages': ['A', 'I', 'P', 'L'], 'lag': 0},
        'superiority': {'model': 'fast_members_30d', 'stages': ['member', 'active'], 'lag': 0},
        'superiority_super': {'model': 'fast_super', 'stages': ['super'], 'lag': 0},
        'thriving_active_30d': {'model': 'fast_members_30d', 'stages': ['active'], 'lag': 0},
        'thriving_active_180d': {'model': 'fast_members_180d', 'stages': ['active'], 'lag': 0},
        'advancing_base': {'model': model, 'stages': ['A', 'I', 'P', 'L'], 'lag': 7},
        'advancing_base_without_l': {'model': model, 'stages': ['A', 'I', 'P'], 'lag': 7},
    } -%}
    {%- for stage in ['A', 'I', 'P'] -%}
        {%- do sets.update({'advancing_base_' ~ stage | lower: {'model': model, 'stages': [stage], 'lag': 7}}) -%}
    {%- endfor -%}
    {{ return(sets) }}
{% endmacro %}

{% macro fast_rates() %}
    {%- set rates = {
        'advancing_rate': ['advancing_deepened', 'advancing_base'],
        'advancing_rate_without_l': ['advancing_deepened', 'advancing_base_without_l'],
        'thriving_rate_30d': ['thriving_active_30d', 'superiority'],
        'thriving_rate_180d': ['thriving_active_180d', 'superiority'],
    } -%}
    {%- for stage in ['a', 'i', 'p'] -%}
        {%- do rates.update({'advancing_rate_' ~ stage: ['advancing_deepened_' ~ stage, 'advancing_base_' ~ stage]}) -%}
    {%- endfor -%}
    {{ return(rates) }}
{% endmacro %}


{#- The one behaviour that stands for a customer's day: a purchase before all, then the behaviours of a model's rules,
    the deepest stage first and in the order of the seed, then whatever else some rule asks for. NULL: none of them. -#}
{% macro deepest_behaviour(plan, model, behaviours, is_purchase_day) -%}
    {%- if not execute -%}{{ return('null') }}{%- endif -%}
    {%- set names = [] -%}
    {%- set rows = quanyu.seed_rows('stage_behaviours', ['behaviour', 'source', 'name'], ['behaviour', 'source', 'name']) -%}
    {%- set rules = quanyu.seed_rows('stage_rules', ['model', 'stage', 'behaviour', 'rule_group', 'condition'],
        ['model', 'version', 'rule_group', 'condition']) -%}
    {%- for ruleset in plan.rulesets if ruleset.model == model -%}
        {%- for stage in ruleset.stages -%}
            {%- for rule in rules if rule.model == model and rule.stage == stage.stage -%}
                {%- set parts = rows | selectattr('behaviour', 'equalto', rule.behaviour) | map(attribute='name') | list -%}
                {%- for name in parts or [rule.behaviour] if name not in names -%}{%- do names.append(name) -%}{%- endfor -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name in plan.atoms | map(attribute='name') | sort if name not in names -%}{%- do names.append(name) -%}{%- endfor -%}
    case
        when {{ is_purchase_day }} then 'purchase'
        {%- for name in names if name != '*' %}
        {%- set mask = namespace(value=0) %}
        {%- for atom in plan.atoms if atom.name == name and atom.source != 'purchase' %}
        {%- set mask.value = mask.value + atom.bit %}
        {%- endfor %}
        {%- if mask.value %}
        when ({{ behaviours }} & {{ mask.value }}) <> 0 then '{{ name }}'
        {%- endif %}
        {%- endfor %}
    end
{%- endmacro %}


{#- Texts as SQL literals with commas between. -#}
{% macro quoted(texts) %}{{ return("'" ~ texts | join("', '") ~ "'") }}{% endmacro %}
