{#- Spark computes and plans a CTE once for every time it is named, and so each CTE that this one names: the plan of
    fast_drivers would be 500 times as long as its text. Before a model is built, every CTE that is named more than once and
    stands for much text is therefore written to a work table; the model reads that. Nothing in a model says so. -#}

{% macro spark__create_table_as(temporary, relation, compiled_code, language='sql') %}
    {%- if language == 'sql' and not temporary -%}
        {%- set compiled_code = quanyu.spark_with_held_ctes(compiled_code) -%}
    {%- endif -%}
    {{ return(dbt.spark__create_table_as(temporary, relation, compiled_code, language)) }}
{% endmacro %}


{#- The query, with the CTEs that are worth it in work tables, which are written here. -#}
{% macro spark_with_held_ctes(sql) %}
    {%- if not execute or flags.WHICH not in ('build', 'run') -%}{{ return(sql) }}{%- endif -%}
    {%- set plan = quanyu.spark_ctes_to_hold(sql) -%}
    {%- for held in plan.held -%}{%- do quanyu.create_work_table('cte_' ~ held.name, held.sql) -%}{%- endfor -%}
    {{ return(plan.sql) }}
{% endmacro %}


{#- After the model is built. -#}
{% macro spark_drop_held_ctes(sql) %}
    {%- set names = [] -%}
    {%- for held in quanyu.spark_ctes_to_hold(sql).held -%}{%- do names.append('cte_' ~ held.name) -%}{%- endfor -%}
    {%- do quanyu.drop_work_tables(names) -%}
{% endmacro %}


{#- {sql, held: [{name, sql}]}. Reads the text as our models are written: a CTE begins at the start of a line and its closing
    bracket stands alone there. A query of any other form is left as it is. -#}
{% macro spark_ctes_to_hold(sql) %}
    {%- set re = modules.re -%}
    {%- set text = re.sub("(?m)--[^'\\n]*$", '', sql) -%}
    {%- set ctes, gaps = [], [] -%}
    {%- set at = namespace(end=0) -%}
    {%- for found in re.finditer('(?ms)^(?:with )?(\\w+) as \\(\\n(.*?)^\\),?', text) -%}
        {%- do gaps.append(text[at.end:found.start()] | trim) -%}
        {%- do ctes.append({'name': found.group(1), 'body': found.group(2)}) -%}
        {%- set at.end = found.end() -%}
    {%- endfor -%}
    {%- for cte in ctes if cte.body.count('(') != cte.body.count(')') -%}{%- do gaps.append(cte.name) -%}{%- endfor -%}
    {%- if not ctes or gaps | select | list or text.strip()[:5] != 'with ' -%}
        {{ return({'sql': sql, 'held': []}) }}
    {%- endif -%}
    {%- set last = text[at.end:] -%}
    {%- set known, held = {}, [] -%}
    {%- for cte in ctes -%}
        {#- Length of the text that stands in its place once all is put in, and the CTEs that it needs, itself included. -#}
        {%- set size = namespace(n=cte.body | length) -%}
        {%- set needs = [] -%}
        {%- for name in re.findall('(?:from|join)\\s+(\\w+)\\b(?!\\.)', cte.body) if name in known -%}
            {%- set size.n = size.n + known[name].size -%}
            {%- for need in known[name].needs if need not in needs -%}{%- do needs.append(need) -%}{%- endfor -%}
        {%- endfor -%}
        {%- do known.update({cte.name: {'size': size.n, 'needs': needs + [cte.name], 'body': cte.body}}) -%}
        {%- set later = ctes[loop.index:] | map(attribute='body') | join('\n') ~ last -%}
        {%- set times = re.findall('(?:from|join)\\s+' ~ cte.name ~ '\\b(?!\\.)', later) | length -%}
        {%- if times > 1 and (times - 1) * size.n > 3000 -%}
            {%- do held.append({'name': cte.name, 'sql': quanyu.spark_query_of(known, needs, cte.body)}) -%}
            {%- set instead = 'select * from ' ~ quanyu.work_table('cte_' ~ cte.name) ~ '\n' -%}
            {%- do known.update({cte.name: {'size': instead | length, 'needs': [cte.name], 'body': instead}}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not held -%}{{ return({'sql': sql, 'held': []}) }}{%- endif -%}
    {%- set needs = [] -%}
    {%- for name in re.findall('(?:from|join)\\s+(\\w+)\\b(?!\\.)', last) if name in known -%}
        {%- for need in known[name].needs if need not in needs -%}{%- do needs.append(need) -%}{%- endfor -%}
    {%- endfor -%}
    {{ return({'sql': quanyu.spark_query_of(known, needs, last), 'held': held}) }}
{% endmacro %}


{#- A query with the CTEs that it needs, and no other. -#}
{% macro spark_query_of(known, needs, body) %}
    {%- set ctes = [] -%}
    {%- for name in known if name in needs -%}{%- do ctes.append(name ~ ' as (\n' ~ known[name].body ~ ')') -%}{%- endfor -%}
    {{ return(('with ' ~ ctes | join(',\n') ~ '\n' if ctes else '') ~ body) }}
{% endmacro %}
