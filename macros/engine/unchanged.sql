{#- What has not changed is not built again, as in a build system. audit.built keeps for every node, beside each other,

      inputs    what it was made from: its code with every value in it, and the contents of what it reads
      contents  what came out, so that a node that reads it can tell whether anything is different
      rows      its rows, so that a table that somebody emptied by hand is noticed

    A node whose inputs are those of its last build is left alone, and so is a test that passed on them. A table that comes
    out as it was stops the change there. The ledger forgets a node before it is built and learns of it after, so a crash
    between the two costs a rebuild and never hides one. `--full-refresh` builds everything; `dbt test` tests everything.

    Never left alone: what reads files (the inputs would have to tell their contents), and a model whose configuration says
    `meta: {always_build: true}`, because it reads state that no ref names. On an engine without these materializations
    everything is built every time. -#}
{% macro built_ledger() %}
    {{- return(api.Relation.create(database=target.database or none, schema='audit', identifier='built', type='table')) -}}
{% endmacro %}


{#- What is known of a node before it is built, told by one query, `code` being its text:

      inputs        fingerprint of what it is made from; none where it cannot be told
      is_noted      whether the ledger may know anything of it
      is_unchanged  whether the node, built before from these inputs, is still there as it was built -#}
{% macro look_at(node, code) %}
    {%- set nothing = {'inputs': none, 'is_noted': true, 'is_unchanged': false} -%}
    {%- if not quanyu.built_is_kept() or node.config.get('meta', {}).get('always_build') or 'read_parquet(' in code
            or node.resource_type == 'test' and should_store_failures() -%}
        {{ return(nothing) }}
    {%- endif -%}
    {%- set said = [code, tojson(node.config, sort_keys=true), tojson(node.get('columns', {}), sort_keys=true)] -%}
    {%- set reads = [] -%}
    {%- do quanyu.add_reads(node, reads) -%}
    {%- set ledger = quanyu.built_ledger() -%}
    {%- set parts = [
        "select '' as node, version() as contents",
        "select node, contents from " ~ ledger ~ " where contents is not null and node not like 'seed.%'"
            ~ " and node in ('" ~ reads | join("', '") ~ "')",
        "select 'inputs of itself', inputs from " ~ ledger ~ " where node = '" ~ node.unique_id ~ "'",
    ] -%}
    {%- for read in reads if graph.nodes[read].config.materialized != 'view' -%}
        {%- set known = graph.nodes[read] -%}
        {%- set relation = adapter.get_relation(known.database, known.schema, known.alias) -%}
        {%- if relation and known.resource_type == 'seed' -%}
            {#- Seeds are small, and people edit them in place: what is in them counts. -#}
            {%- do parts.append("select '" ~ read ~ "', " ~ quanyu.contents_of(relation)) -%}
        {%- elif relation -%}
            {#- Rows that somebody deletes are missed without the run that builds the table. -#}
            {%- do parts.append("select 'rows of " ~ read ~ "', cast(count(*) as varchar) from " ~ relation) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set itself = none if node.resource_type == 'test' else load_cached_relation(this) -%}
    {%- if itself and not itself.is_view -%}
        {%- do parts.append("select 'rows are there', cast((select count(*) from " ~ itself ~ ") = "
            ~ adapter.quote('rows') ~ " as varchar) from " ~ ledger ~ " where node = '" ~ node.unique_id ~ "'") -%}
    {%- endif -%}
    {%- set found = {} -%}
    {%- for row in run_query('select * from (' ~ parts | join(' union all ') ~ ') as told order by node').rows -%}
        {%- do found.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- set is_noted = 'inputs of itself' in found -%}
    {%- set inputs_before = found.pop('inputs of itself', none) -%}
    {%- set rows_are_there = found.pop('rows are there', none) == 'true' -%}
    {%- for read in reads if read not in found -%}{{ return(dict(nothing, is_noted=is_noted)) }}{%- endfor -%}
    {%- for name, contents in found.items() -%}{%- do said.append(name ~ ' ' ~ contents) -%}{%- endfor -%}
    {%- set inputs = local_md5(said | join('\n')) -%}
    {%- set is_view = node.config.materialized == 'view' -%}
    {{ return({'inputs': inputs, 'is_noted': is_noted, 'is_unchanged': inputs == inputs_before and not should_full_refresh() and (
        node.resource_type == 'test' or itself is not none and itself.is_view == is_view
        and (is_view or rows_are_there))}) }}
{% endmacro %}


{#- Adds to `reads` what a node reads. What a view reads counts as well: a run may build it and leave the view out. -#}
{% macro add_reads(node, reads) %}
    {%- for read in node.depends_on.nodes if read not in reads and not read.startswith('source.') -%}
        {%- do reads.append(read) -%}
        {%- if graph.nodes[read].config.materialized == 'view' -%}
            {%- do quanyu.add_reads(graph.nodes[read], reads) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}


{#- The ledger exists where dbt builds; parsing, compiling and testing alone leave it out. -#}
{% macro built_is_kept() %}
    {{- return(execute and flags.WHICH in ('build', 'run', 'seed') and adapter.get_relation(
        database=target.database or none, schema='audit', identifier='built') is not none) -}}
{% endmacro %}


{#- SQL of a number that is another one when rows, column names or types are others; the order of rows says nothing. -#}
{% macro contents_of(relation) -%}
    (select concat_ws(':', count(*), sum(hash(told)),
        (select md5(string_agg(concat_ws(' ', name, type), ',' order by cid)) from pragma_table_info('{{ relation }}')))
    from {{ relation }} as told)
{%- endmacro %}


{#- Before a build: from here on nothing is known of the node. -#}
{% macro forget_built(is_noted=true) %}
    {%- if is_noted and quanyu.built_is_kept() -%}
        {%- do run_query("delete from " ~ quanyu.built_ledger() ~ " where node = '" ~ model.unique_id ~ "'") -%}
    {%- endif -%}
{% endmacro %}


{#- After a build: `contents` is the SQL of what came out. -#}
{% macro note_built(inputs, contents, rows='0') %}
    {%- if quanyu.built_is_kept() -%}
        {%- do run_query("insert into " ~ quanyu.built_ledger() ~ " select '" ~ model.unique_id ~ "', "
            ~ ("'" ~ inputs ~ "'" if inputs else "null") ~ ", " ~ contents ~ ", " ~ rows) -%}
    {%- endif -%}
{% endmacro %}


{#- SQL of the contents of a table that was just built. Those of a large table count as new: reading a million rows
    again costs more than the rare mart that then need not be built. -#}
{% macro contents_of_table(relation) -%}
    case
        when (select count(*) from {{ relation }}) > 1000000 then 'refresh {{ quanyu.refresh_number() }}'
        else {{ quanyu.contents_of(relation) }}
    end
{%- endmacro %}


{#- SQL of the contents of an incremental table: rows that a refresh writes carry its number, rows that it takes away are
    missing from the count. -#}
{% macro contents_of_incremental(relation) -%}
    {#- Not by adapter.get_columns_in_relation: it opens a transaction that nobody commits. -#}
    {%- if quanyu.scalar("select count(*) from pragma_table_info('" ~ relation ~ "') where name = '_refresh'") -%}
        (select concat_ws(':', 'refresh', max(_refresh), count(*)) from {{ relation }})
    {%- else -%}
        'refresh {{ quanyu.refresh_number() }}'
    {%- endif -%}
{%- endmacro %}


{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set known = quanyu.look_at(model, model.compiled_code) -%}
    {%- if known.is_unchanged -%}
        {%- call noop_statement('main', 'UNCHANGED') -%}{%- endcall -%}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {%- do quanyu.forget_built(known.is_noted) -%}
    {%- set successor = quanyu.successor() -%}
    {%- call statement('main', language=model.language) -%}
        {{- create_table_as(False, successor, model.compiled_code, model.language) }}
    {%- endcall -%}
    {%- do quanyu.succeed(successor) -%}
    {%- do quanyu.note_built(known.inputs, quanyu.contents_of_table(this), '(select count(*) from ' ~ this ~ ')') -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{% endmaterialization %}


{#- Relation beside the table that is there, for the rows that replace it; runs what comes before them. -#}
{% macro successor() %}
    {%- set relation = make_intermediate_relation(this.incorporate(type='table')) -%}
    {%- do drop_relation_if_exists(load_cached_relation(relation)) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=False) -%}
    {%- do run_hooks(pre_hooks, inside_transaction=True) -%}
    {{ return(relation) }}
{% endmacro %}

{#- Lets it take the place of the table, and commits. -#}
{% macro succeed(successor) %}
    {%- set there = load_cached_relation(this) -%}
    {#- Not by adapter.rename_relation and its like: each looks every macro up anew, seven percent of a small build. -#}
    {%- do run_query(('drop ' ~ there.type ~ ' ' ~ there ~ '; ' if there else '')
        ~ 'alter table ' ~ successor ~ ' rename to ' ~ adapter.quote(this.identifier)) -%}
    {%- do run_hooks(post_hooks, inside_transaction=True) -%}
    {%- do adapter.commit() -%}
    {%- do run_hooks(post_hooks, inside_transaction=False) -%}
{% endmacro %}


{#- Its compiled text holds numbers of refreshes, so the code as written stands for it: a changed macro reaches rows that are
    there with `--full-refresh` only, in any case. -#}
{% materialization incremental, adapter='duckdb', supported_languages=['sql', 'python'] %}
    {%- set known = quanyu.look_at(model, model.raw_code ~ tojson(invocation_args_dict.vars)) -%}
    {%- if known.is_unchanged -%}
        {%- call noop_statement('main', 'UNCHANGED') -%}{%- endcall -%}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {%- do quanyu.forget_built(known.is_noted) -%}
    {%- set parts = [] if is_incremental() else quanyu.parts_of(model.compiled_code) -%}
    {%- if parts -%}
        {%- set successor = quanyu.successor() -%}
        {%- call statement('main') -%}
            {{- create_table_as(False, successor, parts[0]) }}
        {%- endcall -%}
        {%- for part in parts[1:] -%}
            {%- do run_query('insert into ' ~ successor ~ ' by name ' ~ part) -%}
        {%- endfor -%}
        {%- do quanyu.succeed(successor) -%}
        {%- set result = {'relations': [this.incorporate(type='table')]} -%}
    {%- else -%}
        {%- set result = dbt.materialization_incremental_duckdb() -%}
        {%- do quanyu.shed_deleted_rows() -%}
    {%- endif -%}
    {%- do quanyu.note_built(
        known.inputs, quanyu.contents_of_incremental(this), '(select count(*) from ' ~ this ~ ')') -%}
    {{ return(result) }}
{% endmaterialization %}


{% materialization view, adapter='duckdb' %}
    {%- set known = quanyu.look_at(model, model.compiled_code) -%}
    {%- if known.is_unchanged -%}
        {%- call noop_statement('main', 'UNCHANGED') -%}{%- endcall -%}
        {{ return({'relations': [this.incorporate(type='view')]}) }}
    {%- endif -%}
    {%- do quanyu.forget_built(known.is_noted) -%}
    {%- set result = dbt.materialization_view_default() -%}
    {%- do quanyu.note_built(known.inputs, "'" ~ (known.inputs or 'refresh ' ~ quanyu.refresh_number()) ~ "'") -%}
    {{ return(result) }}
{% endmaterialization %}


{#- A seed is its file, unless somebody has changed the table since. -#}
{% materialization seed, adapter='duckdb' %}
    {%- set inputs = local_md5(model.checksum.checksum ~ tojson(model.config, sort_keys=true) ~ tojson(
        model.columns, sort_keys=true)) if model.checksum.name == 'sha256' else none -%}
    {%- set there = load_cached_relation(this) -%}
    {%- if quanyu.built_is_kept() and inputs and there and not there.is_view and not should_full_refresh()
            and run_query('select 1 from ' ~ quanyu.built_ledger() ~ " where node = '" ~ model.unique_id ~ "' and inputs = '"
                ~ inputs ~ "' and contents = " ~ quanyu.contents_of(this)).rows -%}
        {%- do store_result('agate_table', response='OK', agate_table=run_query('select 1 as unchanged limit 0')) -%}
        {%- call noop_statement('main', 'UNCHANGED') -%}{%- endcall -%}
        {{ return({'relations': [this.incorporate(type='table')]}) }}
    {%- endif -%}
    {%- do quanyu.forget_built() -%}
    {%- set result = dbt.materialization_seed_default() -%}
    {%- do quanyu.note_built(inputs, quanyu.contents_of(this), '(select count(*) from ' ~ this ~ ')') -%}
    {{ return(result) }}
{% endmaterialization %}


{#- A test that passed on the same rows passes again. -#}
{% materialization test, adapter='duckdb' %}
    {%- set known = quanyu.look_at(model, model.compiled_code) -%}
    {%- if known.is_unchanged -%}
        {%- do store_raw_result('main', message='UNCHANGED', code='UNCHANGED', rows_affected='0',
            agate_table=quanyu.no_failures()) -%}
        {{ return({'relations': []}) }}
    {%- endif -%}
    {%- do quanyu.forget_built(known.is_noted) -%}
    {%- set result = dbt.materialization_test_default() -%}
    {%- if load_result('main').table.rows[0][0] > 0 -%}
        {%- do quanyu.tell_broken_rules() -%}
    {%- elif known.inputs -%}
        {%- do quanyu.note_built(known.inputs, 'null') -%}
        {#- The query of the test began a transaction that nobody else ends. -#}
        {%- do adapter.commit() -%}
    {%- endif -%}
    {{ return(result) }}
{% endmaterialization %}


{#- What a test without failures answers, asked for once. -#}
{% macro no_failures() %}
    {%- set remembered = quanyu.remembered() -%}
    {%- if 'no_failures' not in remembered -%}
        {%- do remembered.update({
            'no_failures': run_query('select 0 as failures, false as should_warn, false as should_error')}) -%}
    {%- endif -%}
    {{ return(remembered.no_failures) }}
{% endmacro %}
