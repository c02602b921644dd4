{#- The stage engine, second half: from the plan to SQL.

    Between two spine days of a customer nothing happens to him, so a condition that holds on one of them can only
    end, and the day on which it will is known: the last day of the behaviour plus the window. Every condition is
    such an expiry (the first day on which it does not hold; 0 = it does not hold now), AND is `least`, OR is
    `greatest`, and none of it needs a row per day. -#}

{#- {first: {name: sql}, second: {name: sql}, sums: [condition], stages: {ruleset number: [{stage, rank, now, before}]}}.
    `first` are window columns over the spine and tell what was known before a day, `second` what is known with it; equal
    ones are shared. `now` is when the stage would end as of the day, `before` as of the day before. -#}
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
                    {%- do parts.append({
                        'now': quanyu.extreme('least', expiries | map(attribute='now') | list),
                        'before': quanyu.extreme('least', expiries | map(attribute='before') | list)}) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- for days, mask in windows.items() -%}
                {%- do parts.append(quanyu.condition_expiry({'kind': 'last', 'mask': mask, 'days': days}, columns)) -%}
            {%- endfor -%}
            {%- do stages.append({'stage': stage.stage, 'rank': stage.rank,
                'now': quanyu.extreme('greatest', parts | map(attribute='now') | list) if parts else '0',
                'before': quanyu.extreme('greatest', parts | map(attribute='before') | list) if parts else '0'}) -%}
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

{#- Expressions over the CTE `expiring`, one per turn that a row can hold: rule set * 2^32 + day * 64 + rank, or NULL. -#}
{% macro stage_turns(columns) %}
    {%- set turns = [] -%}
    {%- for ruleset in columns.rulesets -%}
        {%- set stages = columns.stages[ruleset.number] -%}
        {%- set rank = [] -%}
        {%- for stage in stages -%}
            {%- do rank.append('when until_' ~ ruleset.number ~ '_' ~ stage.rank ~ ' > from_day then ' ~ stage.rank) -%}
        {%- endfor -%}
        {%- set rank = 'case ' ~ rank | join(' ') ~ ' else 0 end' -%}
        {%- do turns.append('case when begins_epoch or ' ~ rank ~ ' <> before_' ~ ruleset.number ~ ' then '
            ~ quanyu.turn_number(ruleset.number, 'from_day', rank) ~ ' end') -%}
        {%- set above = ['from_day'] -%}
        {%- for stage in stages + [{'rank': 0}] -%}
            {%- set until = 'until_' ~ ruleset.number ~ '_' ~ stage.rank -%}
            {%- if not loop.first -%}
                {%- set begins = quanyu.extreme('greatest', above) -%}
                {%- do turns.append('case when ' ~ begins ~ ' > from_day and ' ~ begins ~ ' < to_day'
                    ~ (' and ' ~ until ~ ' > ' ~ begins if not loop.last else '') ~ ' then '
                    ~ quanyu.turn_number(ruleset.number, begins, stage.rank) ~ ' end') -%}
            {%- endif -%}
            {%- do above.append(until) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(turns or ['cast(null as bigint)']) }}
{% endmacro %}

{% macro turn_number(ruleset, day, rank) -%}
    {{- return(ruleset * 4294967296 ~ ' + ' ~ day ~ ' * 64 + ' ~ rank) -}}
{%- endmacro %}

{#- Expiry of a condition as SQL over the CTE `measured`, {now, before}; the columns it needs go into `columns`. -#}
{% macro condition_expiry(condition, columns) %}
    {%- set hit = '(behaviours & ' ~ condition.mask ~ ') <> 0' -%}
    {%- set far = quanyu.far_day() | string -%}
    {%- set is_ever = condition.days == '' -%}
    {%- if condition.kind == 'live' -%}
        {%- set before = quanyu.shared_column(columns.first, 'back', quanyu.previous_known('relationships', 1) ~ ' over in_order') -%}
        {%- set now = quanyu.shared_column(columns.second, 'live', 'coalesce(relationships, ' ~ before ~ ')') -%}
        {%- set expiries = {} -%}
        {%- for name, column in {'now': now, 'before': before}.items() -%}
            {%- do expiries.update({name: 'case when (' ~ column ~ ' & ' ~ condition.mask ~ ') <> 0 then ' ~ far ~ ' else 0 end'}) -%}
        {%- endfor -%}
        {{ return(expiries) }}
    {%- elif condition.kind == 'sum' -%}
        {%- do columns.sums.append(condition) -%}
        {%- set value = 'sum(value_' ~ columns.sums | length ~ ')' -%}
        {%- set days = 'unbounded' if is_ever else condition.days | int -%}
        {%- set expiries = {} -%}
        {%- for name, frame in {
            'now': (days if is_ever else days - 1) ~ ' preceding and current row', 'before': days ~ ' preceding and 1 preceding',
        }.items() -%}
            {%- set total = value ~ ' over (partition by brand_number, customer_key, epoch_from order by day range between '
                ~ frame ~ ')' -%}
            {%- do expiries.update({name: quanyu.shared_column(columns.first, 'enough',
                'case when ' ~ total ~ ' >= ' ~ condition.least ~ ' then ' ~ far ~ ' else 0 end')}) -%}
        {%- endfor -%}
        {{ return(expiries) }}
    {%- endif -%}
    {%- set hit_day = 'case when ' ~ hit ~ ' then day end' -%}
    {%- set back = quanyu.shared_column(columns.first, 'back', quanyu.previous_known(hit_day, 1) ~ ' over in_order') -%}
    {%- set last = quanyu.shared_column(columns.second, 'last', 'case when ' ~ hit ~ ' then day else ' ~ back ~ ' end') -%}
    {%- if condition.kind == 'last' -%}
        {{ return({'now': quanyu.expiry_of(last, condition.days), 'before': quanyu.expiry_of(back, condition.days)}) }}
    {%- endif -%}
    {%- set back_2 = quanyu.shared_column(columns.first, 'back', quanyu.previous_known(hit_day, 2) ~ ' over in_order') -%}
    {%- set second = quanyu.shared_column(columns.second, 'second', 'case when ' ~ hit ~ ' then ' ~ back ~ ' else ' ~ back_2 ~ ' end') -%}
    {%- if condition.kind == 'second' -%}
        {{ return({'now': quanyu.expiry_of(second, condition.days), 'before': quanyu.expiry_of(back_2, condition.days)}) }}
    {%- endif -%}
    {#- cycle: at most N days apart and at most N days ago; N days ago still holds, hence the 1. -#}
    {%- set expiries = {} -%}
    {%- for name, (newest, older) in {'now': (last, second), 'before': (back, back_2)}.items() -%}
        {%- do expiries.update({name: 'case when ' ~ newest ~ ' - ' ~ older ~ ' <= ' ~ condition.days ~ ' then ' ~ newest ~ ' + '
            ~ condition.days ~ ' + 1 else 0 end'}) -%}
    {%- endfor -%}
    {{ return(expiries) }}
{% endmacro %}

{#- First day on which something that happened on a day no longer counts; 0 when it did not happen. -#}
{% macro expiry_of(day, days) -%}
    {{- return('case when ' ~ day ~ ' is not null then ' ~ quanyu.far_day() ~ ' else 0 end' if days == ''
        else 'coalesce(' ~ day ~ ' + ' ~ days ~ ', 0)') -}}
{%- endmacro %}
