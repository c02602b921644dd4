{#- The stage engine, second half: from the plan to SQL.

    Between two spine days of a customer nothing happens to him, so a condition that holds on one of them can only
    end, and the day on which it will is known: the last day of the behaviour plus the window. Every condition is
    such an expiry (the first day on which it does not hold; 0 = it does not hold now), AND is `least`, OR is
    `greatest`, and none of it needs a row per day. -#}

{#- {first: {name: sql}, second: {name: sql}, sums: [condition], stages: {ruleset number: [{stage, rank, sql}]}}.
    `first` are window columns over the spine, `second` window columns over those; equal ones are shared. -#}
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
        {#- On the second of two rows of one day `before` is that day itself; the first of them has seen the day
            before it, and both expiries only ever grow. -#}
        {%- set before = quanyu.shared_column(columns.first, 'before',
            quanyu.last_known('case when ' ~ hit ~ ' then day end') ~ ' over so_far_before') -%}
        {%- if condition.kind == 'second' -%}
            {%- set expiry = quanyu.shared_column(columns.second, 'second', quanyu.last_known('case when ' ~ hit
                ~ ' and ' ~ before ~ ' < day then ' ~ (far if is_ever else before ~ ' + ' ~ condition.days) ~ ' end')
                ~ ' over so_far') -%}
        {%- else -%}
            {#- At most N days apart and at most N days ago: N days ago still holds, hence the 1. -#}
            {%- set expiry = quanyu.shared_column(columns.second, 'cycle', quanyu.last_known('case when ' ~ hit
                ~ ' and ' ~ before ~ ' < day and day - ' ~ before ~ ' <= ' ~ condition.days
                ~ ' then day + ' ~ condition.days ~ ' + 1 end') ~ ' over so_far') -%}
        {%- endif -%}
        {{ return('coalesce(' ~ expiry ~ ', 0)') }}
    {%- else -%}
        {%- do columns.sums.append(condition) -%}
        {%- set total = 'sum(value_' ~ columns.sums | length ~ ') over (partition by brand_number, customer_key, epoch_from'
            ~ ' order by day range between ' ~ ('unbounded' if is_ever else (condition.days | int - 1) | string)
            ~ ' preceding and current row)' -%}
        {{ return(quanyu.shared_column(columns.first, 'enough',
            'case when ' ~ total ~ ' >= ' ~ condition.least ~ ' then ' ~ far ~ ' else 0 end')) }}
    {%- endif -%}
{% endmacro %}
