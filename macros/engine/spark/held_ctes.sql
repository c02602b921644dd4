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


{#- {sql, held: [{name, sql}]}. Reads the text as our models are written: the line that begins a CTE ends with its opening
    bracket, and the closing one stands alone on a line. A query of any other form is left as it is. -#}
{% macro spark_ctes_to_hold(sql) %}
    {%- set re = modules.re -%}
    {%- set ctes, lines, rest, odd = [], [], [], [] -%}
    {%- set at = namespace(name='', depth=0) -%}
    {%- for line in re.sub("(?m)--[^'\\n]*$", '', sql).split('\n') -%}
        {%- set plain = re.sub("'[^']*'", '', line) -%}
        {%- set begun = re.match('\\s*(?:with )?(\\w+) as \\(\\s*$', line) if at.depth == 0 else none -%}
        {%- if begun -%}
            {%- if rest | join | trim -%}{%- do odd.append(line) -%}{%- endif -%}
            {%- set at.name = begun.group(1) -%}
            {%- set at.depth = 1 -%}
        {%- elif at.depth == 0 -%}
            {%- do rest.append(line) -%}
        {%- else -%}
            {%- set at.depth = at.depth + plain.count('(') - plain.count(')') -%}
            {%- if at.depth > 0 -%}
                {%- do lines.append(line) -%}
            {%- else -%}
                {%- if at.depth < 0 or line.strip() not in (')', '),') -%}{%- do odd.append(line) -%}{%- endif -%}
                {%- do ctes.append({'name': at.name, 'body': lines | join('\n') ~ '\n'}) -%}
                {%- do lines.clear() -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if odd or at.depth or not sql or not re.match("(?s)(--[^\\n]*\\n|\\s)*with \\w+ as", sql) -%}
        {{ return({'sql': sql, 'held': []}) }}
    {%- endif -%}
    {%- set last = rest | join('\n') -%}
    {%- set known, held = {}, [] -%}
    {%- for cte in ctes -%}
        {#- Length of the text that stands in its place once all is put in, and the CTEs that it needs, itself included. -#}
        {%- set size = namespace(n=cte.body | length) -%}
        {%- for name in quanyu.spark_named(cte.body) if name in known -%}
            {%- set size.n = size.n + known[name].size -%}
        {%- endfor -%}
        {%- set needs = quanyu.spark_needs(known, cte.body) -%}
        {%- do known.update({cte.name: {'size': size.n, 'needs': needs + [cte.name], 'body': cte.body}}) -%}
        {%- set later = ctes[loop.index:] | map(attribute='body') | join('\n') ~ last -%}
        {%- set times = quanyu.spark_named(later) | select('equalto', cte.name) | list | length -%}
        {%- if times > 1 and (times - 1) * size.n > 3000 -%}
            {%- do held.append({'name': cte.name, 'sql': quanyu.spark_query_of(known, needs + [cte.name], 'select * from ' ~ cte.name)}) -%}
            {%- set instead = 'select * from ' ~ quanyu.work_table('cte_' ~ cte.name) ~ '\n' -%}
            {%- do known.update({cte.name: {'size': instead | length, 'needs': [cte.name], 'body': instead}}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not held -%}{{ return({'sql': sql, 'held': []}) }}{%- endif -%}
    {{ return({'sql': quanyu.spark_query_of(known, quanyu.spark_needs(known, last), last), 'held': held}) }}
{% endmacro %}


{#- What a query reads by a name alone, as CTEs are, each time that it does. -#}
{% macro spark_named(sql) %}
    {{ return(modules.re.findall('(?:from|join)\\s+(\\w+)\\b(?!\\.)', sql)) }}
{% endmacro %}


{#- The known CTEs that a query needs, those that they need included. -#}
{% macro spark_needs(known, sql) %}
    {%- set needs = [] -%}
    {%- for name in quanyu.spark_named(sql) if name in known -%}
        {%- for need in known[name].needs if need not in needs -%}{%- do needs.append(need) -%}{%- endfor -%}
    {%- endfor -%}
    {{ return(needs) }}
{% endmacro %}


{#- A query with the CTEs that it needs, and no other. -#}
{% macro spark_query_of(known, needs, body) %}
    {%- set ctes = [] -%}
    {%- for name in known if name in needs -%}{%- do ctes.append(name ~ ' as (\n' ~ known[name].body ~ ')') -%}{%- endfor -%}
    {{ return(('with ' ~ ctes | join(',\n') ~ '\n' if ctes else '') ~ body) }}
{% endmacro %}
