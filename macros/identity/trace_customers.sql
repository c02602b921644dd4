{#- Own refresh of an incremental model that follows int_identity__resolution; -1 when all is to be computed. -#}
{% macro followed_refresh() %}
    {%- if not is_incremental() -%}{{ return(-1) }}{%- endif -%}
    {{ return(quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this) | int) }}
{% endmacro %}


{#- Work tables for the models that explain customers: <prefix>_traced(customer_key), the customers to explain again;
    <prefix>_nodes(identifier_key, customer_key), their identifiers where there are several; <prefix>_links(customer_key,
    link_key, left_key, right_key, seen_order, is_probable), the links in force inside one customer. -#}
{% macro collect_inner_links(prefix) %}
    {%- set own_refresh = quanyu.followed_refresh() -%}
    {%- set as_of = quanyu.scalar('select max(as_of_date) from ' ~ ref('as_of')) or '9999-12-31' -%}
    {%- set resolution = ref('int_identity__resolution') -%}
    {%- set traced = '' -%}
    {%- if own_refresh >= 0 -%}
        {%- do quanyu.create_work_table(prefix ~ '_traced', quanyu.resolved_since(own_refresh)) -%}
        {%- set traced = ' and customer_key in (select customer_key from ' ~ quanyu.work_table(prefix ~ '_traced') ~ ')' -%}
    {%- endif -%}
    {%- do quanyu.create_work_table(prefix ~ '_nodes', "
        select owners.identifier_key, owners.customer_key
        from " ~ resolution ~ " as owners
        inner join (
            select customer_key from " ~ resolution ~ "
            where is_current and identifier_type in " ~ quanyu.joining_types() ~ traced ~ "
            group by customer_key
            having count(*) > 1
        ) as several on owners.customer_key = several.customer_key
        where owners.is_current and owners.identifier_type in " ~ quanyu.joining_types()
    ) -%}
    {%- do quanyu.create_work_table(prefix ~ '_links', "
        select
            left_nodes.customer_key, links.link_key, links.left_key, links.right_key, links.seen_order,
            links.link_kind = 'probabilistic' as is_probable
        from " ~ ref('int_identity__links') ~ " as links
        inner join " ~ quanyu.work_table(prefix ~ '_nodes') ~ " as left_nodes
            on links.left_key = left_nodes.identifier_key
        inner join " ~ quanyu.work_table(prefix ~ '_nodes') ~ " as right_nodes
            on links.right_key = right_nodes.identifier_key and left_nodes.customer_key = right_nodes.customer_key
        where
            links.is_in_force and links.link_kind <> 'split'
            and (links.linked_at is null or cast(links.linked_at as date) <= date '" ~ as_of ~ "')"
    ) -%}
{% endmacro %}


{#- Incremental strategy of the models that describe customers: the rows of the customers in the work table
    `<model>_traced`, which a pre-hook has made, go; the rows that the model gives for them come. -#}
{% macro get_incremental_replace_traced_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where customer_key in (select customer_key from {{ quanyu.work_table(this.identifier ~ '_traced') }});

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#- Pre-hook of dim_customers: `dim_customers_traced`, the customers resolved again and those whose profiles changed. -#}
{% macro trace_golden_records() %}
{%- if execute and flags.WHICH in ('build', 'run') and is_incremental() -%}
    {%- set own_refresh = quanyu.followed_refresh() -%}
    {%- do quanyu.create_work_table('dim_customers_traced',
        quanyu.resolved_since(own_refresh) ~ "
        union
        select owners.customer_key
        from " ~ ref('base_landing__profiles') ~ " as profiles
        inner join " ~ ref('int_identity__resolution') ~ " as owners on profiles.identifier_key = owners.identifier_key
        where profiles._refresh > " ~ own_refresh
    ) -%}
{%- endif -%}
{% endmacro %}


{#- Pre-hook of identity_evidence: `evidence_tree`(identifier_key, parent_key, link_key, depth): from every identifier
    a way, link by link, to its customer's first one, the shortest over landed links. Of links equally near the one
    landed first is taken; a probable one only where landed links lead nowhere new. -#}
{% macro trace_evidence() %}
{%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- do quanyu.collect_inner_links('identity_evidence') -%}
    {%- do quanyu.create_work_table('evidence_steps', "
        select left_key as identifier_key, right_key as parent_key, link_key, seen_order, is_probable
        from " ~ quanyu.work_table('identity_evidence_links') ~ "
        union all
        select right_key, left_key, link_key, seen_order, is_probable
        from " ~ quanyu.work_table('identity_evidence_links')
    ) -%}
    {%- set some_probable = quanyu.scalar(
        'select count(*) from ' ~ quanyu.work_table('evidence_steps') ~ ' where is_probable'
    ) | int > 0 -%}
    {%- do quanyu.create_work_table('evidence_tree', "
        select
            identifier_key, cast(null as bigint) as parent_key, cast(null as bigint) as link_key, 0 as depth,
            0 as round
        from " ~ quanyu.work_table('identity_evidence_nodes') ~ "
        where identifier_key = customer_key"
    ) -%}
    {%- set w = namespace(found=1, probable=false) -%}
    {%- for round in range(1, 10000) -%}
    {%- if w.found > 0 or (some_probable and not w.probable) -%}
        {#- Landed links from what the last round reached; when they are used up, probable ones from all of it. -#}
        {%- set w.probable = w.found == 0 -%}
        {%- do quanyu.create_work_table('evidence_frontier', "
            select
                steps.identifier_key, steps.parent_key, steps.link_key, tree.depth + 1 as depth, " ~ round ~ " as round
            from " ~ quanyu.work_table('evidence_steps') ~ " as steps
            inner join " ~ quanyu.work_table('evidence_tree') ~ " as tree
                on steps.parent_key = tree.identifier_key
                " ~ ('' if w.probable else 'and tree.round = ' ~ (round - 1)) ~ "
            where
                " ~ ('' if w.probable else 'not') ~ " steps.is_probable
                and steps.identifier_key not in (select identifier_key from " ~ quanyu.work_table('evidence_tree') ~ ")
            qualify row_number() over (
                partition by steps.identifier_key order by tree.depth, steps.seen_order, steps.link_key
            ) = 1"
        ) -%}
        {%- set w.found = quanyu.scalar('select count(*) from ' ~ quanyu.work_table('evidence_frontier')) | int -%}
        {%- do run_query('insert into ' ~ quanyu.work_table('evidence_tree') ~ ' select * from '
            ~ quanyu.work_table('evidence_frontier')) -%}
    {%- endif -%}
    {%- endfor -%}
    {%- do quanyu.drop_work_tables(['evidence_steps', 'identity_evidence_links', 'evidence_frontier']) -%}
{%- endif -%}
{% endmacro %}


{#- Links that hold only because somebody decided so (a conflict would keep their ends apart) hold since the decision. -#}
{% macro date_decided_links(identifiers) %}
    {%- set inner_links = quanyu.work_table('fct_identity_merges_links') -%}
    {%- do quanyu.create_work_table('edges', "
        select least(left_key, right_key) as a, greatest(left_key, right_key) as b
        from " ~ inner_links ~ "
        where
            seen_order < " ~ quanyu.decided_order() ~ "
            and not is_probable
            and customer_key in (
                select customer_key from " ~ inner_links ~ " where seen_order = " ~ quanyu.decided_order() ~ "
            )
        group by least(left_key, right_key), greatest(left_key, right_key)"
    ) -%}
    {%- if quanyu.scalar('select count(*) from ' ~ quanyu.work_table('edges')) | int > 0 -%}
        {%- do quanyu.connected_components('select a, b from ' ~ quanyu.work_table('edges'), 'components') -%}
        {%- do quanyu.collect_decided_links(ref('int_identity__links')) -%}
        {%- do quanyu.part_conflicts(identifiers, ref('int_identity__links'), ref('identifier_types')) -%}
        {%- do quanyu.create_work_table('dated_links', "
            select
                links.customer_key, links.link_key, links.left_key, links.right_key, links.is_probable,
                case
                    when not links.is_probable and left_clusters.cluster_key <> right_clusters.cluster_key
                        then " ~ quanyu.decided_order() ~ "
                    else links.seen_order
                end as seen_order
            from " ~ inner_links ~ " as links
            left join " ~ quanyu.work_table('clusters') ~ " as left_clusters
                on links.left_key = left_clusters.identifier_key
            left join " ~ quanyu.work_table('clusters') ~ " as right_clusters
                on links.right_key = right_clusters.identifier_key"
        ) -%}
        {%- do quanyu.create_work_table('fct_identity_merges_links', 'select * from ' ~ quanyu.work_table('dated_links')) -%}
    {%- endif -%}
{% endmacro %}


{#- Pre-hook of fct_identity_merges: `merges`(customer_key, loser_key, seen_order, link_key).

    The past is read off the links that hold today: at every batch in which a link of a customer was first landed, the
    links so far make components, each named by its first node, and a name that was one before the batch and is none
    after it is a loser. All customers and all batches are one graph, a node per identifier and batch. -#}
{% macro trace_merges() %}
{%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set identifiers = ref('int_identity__identifiers') -%}
    {%- set links = quanyu.work_table('fct_identity_merges_links') -%}
    {%- do quanyu.collect_inner_links('fct_identity_merges') -%}
    {%- do quanyu.date_decided_links(identifiers) -%}
    {#- A customer all of whose identifiers and links are of one batch has no past. -#}
    {%- do quanyu.create_work_table('merging_seen', "
        select nodes.customer_key, nodes.identifier_key, named.first_seen_order
        from " ~ quanyu.work_table('fct_identity_merges_nodes') ~ " as nodes
        inner join " ~ identifiers ~ " as named on nodes.identifier_key = named.identifier_key"
    ) -%}
    {%- do quanyu.create_work_table('merging_pairs', "
        select
            customer_key, least(left_key, right_key) as a, greatest(left_key, right_key) as b,
            min(seen_order) as seen_order
        from " ~ links ~ "
        group by customer_key, least(left_key, right_key), greatest(left_key, right_key)"
    ) -%}
    {%- do quanyu.create_work_table('merging_times', "
        select distinct pairs.customer_key, pairs.seen_order
        from " ~ quanyu.work_table('merging_pairs') ~ " as pairs
        inner join " ~ quanyu.work_table('merging_seen') ~ " as left_seen on pairs.a = left_seen.identifier_key
        inner join " ~ quanyu.work_table('merging_seen') ~ " as right_seen on pairs.b = right_seen.identifier_key
        where left_seen.first_seen_order < pairs.seen_order or right_seen.first_seen_order < pairs.seen_order"
    ) -%}
    {#- Only batches that met something older matter, each with the state just before it (even) and after it (odd). -#}
    {%- do quanyu.create_work_table('merging_moments', "
        select customer_key, seen_order, 2 * seen_order as moment, seen_order - 1 as upto
        from " ~ quanyu.work_table('merging_times') ~ "
        union all
        select customer_key, seen_order, 2 * seen_order + 1 as moment, seen_order as upto
        from " ~ quanyu.work_table('merging_times')
    ) -%}
    {%- do quanyu.create_work_table('merging_states', "
        select
            seen.identifier_key, seen.customer_key, seen.first_seen_order, moments.seen_order, moments.moment,
            " ~ quanyu.hash63_of(['seen.identifier_key', 'moments.moment']) ~ " as state_key
        from " ~ quanyu.work_table('merging_seen') ~ " as seen
        inner join " ~ quanyu.work_table('merging_moments') ~ " as moments
            on seen.customer_key = moments.customer_key and seen.first_seen_order <= moments.upto"
    ) -%}
    {%- do quanyu.connected_components("
        select left_states.state_key as a, right_states.state_key as b
        from " ~ quanyu.work_table('merging_pairs') ~ " as pairs
        inner join " ~ quanyu.work_table('merging_moments') ~ " as moments
            on pairs.customer_key = moments.customer_key and pairs.seen_order <= moments.upto
        inner join " ~ quanyu.work_table('merging_states') ~ " as left_states
            on pairs.a = left_states.identifier_key and moments.moment = left_states.moment
        inner join " ~ quanyu.work_table('merging_states') ~ " as right_states
            on pairs.b = right_states.identifier_key and moments.moment = right_states.moment",
        'merging_components', 'merging') -%}
    {%- do quanyu.create_work_table('merging_names', "
        select
            states.identifier_key, states.customer_key, states.seen_order, states.moment,
            first_value(states.identifier_key) over (
                partition by coalesce(components.component, states.state_key)
                order by states.first_seen_order, states.identifier_key
            ) as name_key
        from " ~ quanyu.work_table('merging_states') ~ " as states
        left join " ~ quanyu.work_table('merging_components') ~ " as components on states.state_key = components.id"
    ) -%}
    {%- do quanyu.create_work_table('merges', "
        with before as (
            select * from " ~ quanyu.work_table('merging_names') ~ " where moment = 2 * seen_order
        ),
        losers as (
            select
                after_it.customer_key, after_it.seen_order, after_it.identifier_key as loser_key,
                after_it.name_key as survivor_key
            from " ~ quanyu.work_table('merging_names') ~ " as after_it
            inner join before
                on
                    after_it.identifier_key = before.identifier_key
                    and after_it.seen_order = before.seen_order
                    and before.name_key = before.identifier_key
            where after_it.moment = 2 * after_it.seen_order + 1 and after_it.name_key <> after_it.identifier_key
        )
        select
            losers.customer_key, losers.loser_key, losers.survivor_key, losers.seen_order,
            coalesce(min(case when not links.is_probable then links.link_key end), min(links.link_key)) as link_key
        from losers
        inner join before
            on losers.loser_key = before.name_key and losers.seen_order = before.seen_order
        inner join (
            select left_key as identifier_key, right_key as other_key, seen_order, link_key, is_probable
            from " ~ links ~ "
            union all
            select right_key, left_key, seen_order, link_key, is_probable from " ~ links ~ "
        ) as links on before.identifier_key = links.identifier_key and losers.seen_order = links.seen_order
        left join before as other_before
            on links.other_key = other_before.identifier_key and losers.seen_order = other_before.seen_order
        where other_before.name_key is null or other_before.name_key <> losers.loser_key
        group by losers.customer_key, losers.loser_key, losers.survivor_key, losers.seen_order"
    ) -%}
    {%- do quanyu.drop_work_tables([
        'merging_seen', 'merging_pairs', 'merging_states', 'merging_components', 'merging_names',
        'fct_identity_merges_links',
    ]) -%}
{%- endif -%}
{% endmacro %}
