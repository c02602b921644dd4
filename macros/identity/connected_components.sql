{#- Connected components by min-neighbour contraction. Every node takes the smallest id among itself and its
    neighbours, the edges are rewritten to these ids, and so on until none is left: each round has a fraction of the
    edges of the round before. Then the choices are followed back. From the third round on, when few edges are left, a
    node takes the choice of its choice, so that the long chains that are left end in fewer rounds.

    `edges_sql` yields (a, b), bigints in random order (hashes): ids that count up along a chain would cost a round
    per link. It is read three times: give it a table. Leaves the work table `out`(id, component); component is the
    smallest id of the component. Nodes without an edge are not in it. -#}
{% macro connected_components(edges_sql, out, prefix='cc') %}
    {%- set at = namespace(edges='(' ~ edges_sql ~ ')', round=0, left=1, answer='') -%}
    {%- for round in range(1, 100) -%}
    {%- if at.left > 0 -%}
        {%- set chosen = prefix ~ '_chosen_' ~ round -%}
        {#- Two names in turn: a table is gone when the next but one takes its place. -#}
        {%- set edges = prefix ~ '_edges_' ~ (round % 2) -%}
        {%- set choice = 'select a as id, least(a, min(b)) as component from ('
            ~ 'select a, b from ' ~ at.edges ~ ' as forth union all select b as a, a as b from ' ~ at.edges
            ~ ' as back) as both_ways group by a' -%}
        {%- if round > 2 -%}
            {%- set choice = 'with choices as (' ~ choice ~ ') select choices.id, next_choices.component from choices'
                ~ ' inner join choices as next_choices on choices.component = next_choices.id' -%}
        {%- endif -%}
        {%- do quanyu.create_work_table(chosen, choice) -%}
        {%- set at.left = quanyu.create_counted_work_table(edges,
            'select distinct least(l.component, r.component) as a, greatest(l.component, r.component) as b'
            ~ ' from ' ~ at.edges ~ ' as e'
            ~ ' inner join ' ~ quanyu.work_table(chosen) ~ ' as l on e.a = l.id'
            ~ ' inner join ' ~ quanyu.work_table(chosen) ~ ' as r on e.b = r.id'
            ~ ' where l.component <> r.component') -%}
        {%- set at.edges = quanyu.work_table(edges) -%}
        {%- set at.round = round -%}
    {%- endif -%}
    {%- endfor -%}
    {%- if at.left > 0 -%}
        {{ exceptions.raise_compiler_error('connected_components: ' ~ at.left ~ ' edges left after 99 rounds') }}
    {%- endif -%}
    {%- set at.answer = prefix ~ '_chosen_' ~ at.round -%}
    {%- set done = [prefix ~ '_edges_0', prefix ~ '_edges_1'] -%}
    {%- for round in range(at.round - 1, 0, -1) -%}
        {%- set followed = out if round == 1 else prefix ~ '_followed_' ~ round -%}
        {%- do quanyu.create_work_table(followed,
            'select first_choice.id, coalesce(later_choice.component, first_choice.component) as component from '
            ~ quanyu.work_table(prefix ~ '_chosen_' ~ round) ~ ' as first_choice left join '
            ~ quanyu.work_table(at.answer) ~ ' as later_choice on first_choice.component = later_choice.id') -%}
        {%- do done.append(at.answer) -%}
        {%- do done.append(prefix ~ '_chosen_' ~ round) -%}
        {%- if round < 3 -%}
            {%- do quanyu.drop_work_tables(done) -%}
            {%- do done.clear() -%}
        {%- endif -%}
        {%- set at.answer = followed -%}
    {%- endfor -%}
    {%- if at.round == 1 -%}
        {%- do quanyu.create_work_table(out, 'select id, component from ' ~ quanyu.work_table(at.answer)) -%}
        {%- do quanyu.drop_work_tables(done + [at.answer]) -%}
    {%- endif -%}
{% endmacro %}
