{#- The stage engine, second half: from the plan to SQL.

    Between two spine days of a customer nothing happens to him, so a condition that holds on one of them can only
    end, and the day on which it will is known: the last day of the behaviour plus the window. Every condition is
    such an expiry (the first day on which it does not hold; 0 = it does not hold now), AND is `least`, OR is
    `greatest`, and none of it needs a row per day. -#}

{#- {first: {name: sql}, second: {name: sql}, sums: [condition], stages: {ruleset number: [{stage, rank, sql}]}}.
    `first` are window columns over the spine, `second` what follows from those; equal ones are shared. -#}
{% macro stage_columns(plan) %}
    {%- set columns = {'first': {}, 'second': {}, 'sums': [], 'stages': {}, 'rulesets': plan.rulesets} -%}
    {%- for ruleset in plan.rulesets -%}
        {%- set stages = [] -%}
        {%- for stage in ruleset.stages -%}
            {%- set parts = [] -%}
            {%- set windows = {} -%}
            {%- for group in stage.groups -%}
                {%- if group | length == 1 and group[0].kind == 'last' -%}
                    {%- do windows.update({group[0].days: quanyu.union_masks(windows.get(group[0].days, 0), group[0].mask)}) -%}
                {%- else -%}
                    {%- set expiries = [] -%}
                    {%- for condition in group -%}
                        {%- do expiries.append(quanyu.condition_expiry(condition, columns)) -%}
                    {%- endfor -%}
                    {%- do parts.append(quanyu.extreme('least', expiries)) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- for days, mask in windows.items() -%}
                {%- do parts.append(quanyu.condition_expiry({'kind': 'last', 'mask': mask, 'days': days}, columns)) -%}
            {%- endfor -%}
            {%- do stages.append({'stage': stage.stage, 'rank': stage.rank,
                'sql': quanyu.extreme('greatest', parts) if parts else '0'}) -%}
        {%- endfor -%}
        {%- do columns.stages.update({ruleset.number: stages}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{% endmacro %}

{#- Bits of either mask (Jinja has no bit operators). -#}
{% macro union_masks(a, b) %}
    {%- set result = namespace(value=0) -%}
    {%- for power in range(62) -%}
        {%- if (a // 2 ** power) % 2 == 1 or (b // 2 ** power) % 2 == 1 -%}
            {%- set result.value = result.value + 2 ** power -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(result.value) }}
{% endmacro %}

{% macro extreme(function, parts) %}
    {{ return(parts[0] if parts | length == 1 else function ~ '(' ~ parts | join(', ') ~ ')') }}
{% endmacro %}

{#- Name of the column with this SQL, which is added when it is new. -#}
{% macro shared_column(columns, prefix, sql) %}
    {%- for name, known in columns.items() if known == sql -%}{{ return(name) }}{%- endfor -%}
    {%- set name = prefix ~ '_' ~ (columns | length + 1) -%}
    {%- do columns.update({name: sql}) -%}
    {{ return(name) }}
{% endmacro %}

{#- Expiry of a condition as SQL over the CTE `measured`; the window columns it needs go into `columns`. -#}
{% macro condition_expiry(condition, columns) %}
    {%- set hit = '(behaviours & ' ~ condition.mask ~ ') <> 0' -%}
    {%- set far = quanyu.far_day() | string -%}
    {%- set is_ever = condition.days == '' -%}
    {%- if condition.kind == 'live' -%}
        {{ return('case when (live & ' ~ condition.mask ~ ') <> 0 then ' ~ far ~ ' else 0 end') }}
    {%- elif condition.kind == 'last' -%}
        {%- set last = quanyu.shared_column(columns.first, 'last',
            quanyu.last_known('case when ' ~ hit ~ ' then day end') ~ ' over so_far') -%}
        {{ return('case when ' ~ last ~ ' is not null then ' ~ far ~ ' else 0 end' if is_ever
            else 'coalesce(' ~ last ~ ' + ' ~ condition.days ~ ', 0)') }}
    {%- elif condition.kind in ('second', 'cycle') -%}
        {#- A day with the behaviour stands on the spine once, so the day before the last is one or two back. -#}
        {%- set hit_day = 'case when ' ~ hit ~ ' then day end' -%}
        {%- set back = [] -%}
        {%- for n in (1, 2) -%}
            {%- do back.append(quanyu.shared_column(columns.first, 'back',
                quanyu.previous_known(hit_day, n) ~ ' over in_order')) -%}
        {%- endfor -%}
        {%- set before = quanyu.shared_column(columns.second, 'before',
            'case when ' ~ hit ~ ' then ' ~ back[0] ~ ' else ' ~ back[1] ~ ' end') -%}
        {%- if condition.kind == 'second' -%}
            {{ return('case when ' ~ before ~ ' is not null then ' ~ far ~ ' else 0 end' if is_ever
                else 'coalesce(' ~ before ~ ' + ' ~ condition.days ~ ', 0)') }}
        {%- else -%}
            {%- set last = quanyu.shared_column(columns.first, 'last', quanyu.last_known(hit_day) ~ ' over so_far') -%}
            {#- At most N days apart and at most N days ago: N days ago still holds, hence the 1. -#}
            {{ return('case when ' ~ last ~ ' - ' ~ before ~ ' <= ' ~ condition.days ~ ' then ' ~ last ~ ' + '
                ~ condition.days ~ ' + 1 else 0 end') }}
        {%- endif -%}
    {%- else -%}
        {%- do columns.sums.append(condition) -%}
        {%- set total = 'sum(value_' ~ columns.sums | length ~ ') over (partition by brand_number, customer_key, epoch_from'
            ~ ' order by day range between ' ~ ('unbounded' if is_ever else (condition.days | int - 1) | string)
            ~ ' preceding and current row)' -%}
        {{ return(quanyu.shared_column(columns.first, 'enough',
            'case when ' ~ total ~ ' >= ' ~ condition.least ~ ' then ' ~ far ~ ' else 0 end')) }}
    {%- endif -%}
{% endmacro %}
