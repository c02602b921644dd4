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
        {%- set w.found = quanyu.create_counted_work_table('evidence_frontier', "
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


{#- Pre-hook of fct_identity_merges: `merges`(customer_key, loser_key, survivor_key, seen_order, link_key).

    The past is read off the links that hold today: at every batch in which a link of a customer was first landed, the
    links so far make components, each named by its first node, and a name that was one before the batch and is none
    after it is a loser. Among what a customer consists of, the younger name ends when the first link leads out to an
    older one. All customers are one graph, and each round ends every name whose earliest links lead to an older one
    that goes on; then the links of the ended are links of these. -#}
{% macro trace_merges() %}
{%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set identifiers = ref('int_identity__identifiers') -%}
    {%- set links = quanyu.work_table('fct_identity_merges_links') -%}
    {%- do quanyu.collect_inner_links('fct_identity_merges') -%}
    {%- do quanyu.date_decided_links(identifiers) -%}
    {%- do quanyu.create_work_table('merging_seen', "
        select
            nodes.customer_key, nodes.identifier_key, named.first_seen_order,
            row_number() over (
                partition by nodes.customer_key order by named.first_seen_order, nodes.identifier_key
            ) as age
        from " ~ quanyu.work_table('fct_identity_merges_nodes') ~ " as nodes
        inner join " ~ identifiers ~ " as named on nodes.identifier_key = named.identifier_key"
    ) -%}
    {#- A link that meets nothing older than itself ends no name; a customer of one batch has no past. -#}
    {%- do quanyu.create_work_table('merging_pairs', "
        with pairs as (
            select
                links.customer_key, left_seen.identifier_key as a, right_seen.identifier_key as b,
                left_seen.age as a_age, right_seen.age as b_age,
                greatest(min(links.seen_order), left_seen.first_seen_order, right_seen.first_seen_order) as seen_order,
                least(left_seen.first_seen_order, right_seen.first_seen_order) as older_order
            from " ~ links ~ " as links
            inner join " ~ quanyu.work_table('merging_seen') ~ " as left_seen
                on links.left_key = left_seen.identifier_key
            inner join " ~ quanyu.work_table('merging_seen') ~ " as right_seen
                on links.right_key = right_seen.identifier_key
            group by
                links.customer_key, left_seen.identifier_key, right_seen.identifier_key, left_seen.age, right_seen.age,
                left_seen.first_seen_order, right_seen.first_seen_order
        )
        select a, b, a_age, b_age, seen_order
        from pairs
        where customer_key in (select customer_key from pairs where older_order < seen_order)"
    ) -%}
    {%- do quanyu.create_work_table('merging_edges_0', 'select * from ' ~ quanyu.work_table('merging_pairs')) -%}
    {%- do quanyu.create_work_table('ended', "
        select a as identifier_key, b as into_key, a_age as into_age, seen_order
        from " ~ quanyu.work_table('merging_pairs') ~ "
        where 1 = 0"
    ) -%}
    {%- set w = namespace(left=1, last='') -%}
    {%- for round in range(1, 10000) -%}
    {%- if w.left > 0 -%}
        {%- set edges = quanyu.work_table('merging_edges_' ~ ((round + 1) % 2)) -%}
        {%- do quanyu.create_work_table('ending', "
            with steps as (
                select a as identifier_key, a_age as age, b as into_key, b_age as into_age, seen_order from " ~ edges ~ "
                union all
                select b, b_age, a, a_age, seen_order from " ~ edges ~ "
            ),
            first_steps as (
                select * from steps
                qualify row_number() over (partition by identifier_key order by seen_order, into_age) = 1
            ),
            ending as (
                select * from first_steps where into_age < age
            )
            select ending.identifier_key, ending.into_key, ending.into_age, ending.seen_order
            from ending
            left join ending as ending_too on ending.into_key = ending_too.identifier_key
            where ending_too.identifier_key is null"
        ) -%}
        {%- do run_query('insert into ' ~ quanyu.work_table('ended') ~ ' select * from ' ~ quanyu.work_table('ending')) -%}
        {%- set w.left = quanyu.create_counted_work_table('merging_edges_' ~ (round % 2), "
            select a, b, a_age, b_age, min(seen_order) as seen_order
            from (
                select
                    coalesce(left_ending.into_key, edges.a) as a,
                    coalesce(right_ending.into_key, edges.b) as b,
                    coalesce(left_ending.into_age, edges.a_age) as a_age,
                    coalesce(right_ending.into_age, edges.b_age) as b_age,
                    edges.seen_order
                from " ~ edges ~ " as edges
                left join " ~ quanyu.work_table('ending') ~ " as left_ending on edges.a = left_ending.identifier_key
                left join " ~ quanyu.work_table('ending') ~ " as right_ending on edges.b = right_ending.identifier_key
            ) as rewritten
            where a <> b
            group by a, b, a_age, b_age"
        ) -%}
    {%- endif -%}
    {%- endfor -%}
    {%- if w.left > 0 -%}
        {{ exceptions.raise_compiler_error('trace_merges: ' ~ w.left ~ ' edges left after 9999 rounds') }}
    {%- endif -%}
    {#- Whoever was a name before the batch in which it ended. The survivor is the one that goes on after that batch. -#}
    {%- do quanyu.create_work_table('losers_0', "
        select
            seen.customer_key, ended.identifier_key as loser_key, ended.into_key as survivor_key, ended.seen_order,
            1 as has_moved
        from " ~ quanyu.work_table('ended') ~ " as ended
        inner join " ~ quanyu.work_table('merging_seen') ~ " as seen on ended.identifier_key = seen.identifier_key
        where seen.first_seen_order < ended.seen_order"
    ) -%}
    {%- set w.left = 1 -%}
    {%- set w.last = 'losers_0' -%}
    {%- for round in range(1, 10000) -%}
    {%- if w.left > 0 -%}
        {%- set next = 'losers_' ~ (round % 2) -%}
        {%- do quanyu.create_work_table(next, "
            select
                losers.customer_key, losers.loser_key, coalesce(ended.into_key, losers.survivor_key) as survivor_key,
                losers.seen_order, case when ended.into_key is null then 0 else 1 end as has_moved
            from " ~ quanyu.work_table(w.last) ~ " as losers
            left join " ~ quanyu.work_table('ended') ~ " as ended
                on losers.survivor_key = ended.identifier_key and ended.seen_order <= losers.seen_order"
        ) -%}
        {%- set w.last = next -%}
        {%- set w.left = quanyu.scalar('select coalesce(sum(has_moved), 0) from ' ~ quanyu.work_table(next)) | int -%}
    {%- endif -%}
    {%- endfor -%}
    {#- What went by the name of a loser until then. -#}
    {%- do quanyu.create_work_table('loser_members', "
        select loser_key, loser_key as identifier_key, seen_order, 0 as distance
        from " ~ quanyu.work_table(w.last)
    ) -%}
    {%- set w.left = 1 -%}
    {%- for distance in range(1, 10000) -%}
    {%- if w.left > 0 -%}
        {%- set w.left = quanyu.create_counted_work_table('next_members', "
            select members.loser_key, ended.identifier_key, members.seen_order, " ~ distance ~ " as distance
            from " ~ quanyu.work_table('loser_members') ~ " as members
            inner join " ~ quanyu.work_table('ended') ~ " as ended
                on members.identifier_key = ended.into_key and ended.seen_order < members.seen_order
            where members.distance = " ~ (distance - 1)
        ) -%}
        {%- do run_query('insert into ' ~ quanyu.work_table('loser_members') ~ ' select * from '
            ~ quanyu.work_table('next_members')) -%}
    {%- endif -%}
    {%- endfor -%}
    {#- The links of that batch that led out of it. -#}
    {%- do quanyu.create_work_table('merges', "
        with ways_out as (
            select members.loser_key, links.link_key, links.is_probable, links.right_key as other_key
            from " ~ quanyu.work_table('loser_members') ~ " as members
            inner join " ~ links ~ " as links
                on members.identifier_key = links.left_key and members.seen_order = links.seen_order
            union all
            select members.loser_key, links.link_key, links.is_probable, links.left_key as other_key
            from " ~ quanyu.work_table('loser_members') ~ " as members
            inner join " ~ links ~ " as links
                on members.identifier_key = links.right_key and members.seen_order = links.seen_order
        )
        select
            losers.customer_key, losers.loser_key, losers.survivor_key, losers.seen_order,
            coalesce(
                min(case when not ways_out.is_probable then ways_out.link_key end), min(ways_out.link_key)
            ) as link_key
        from " ~ quanyu.work_table(w.last) ~ " as losers
        inner join ways_out on losers.loser_key = ways_out.loser_key
        left join " ~ quanyu.work_table('loser_members') ~ " as inside
            on ways_out.loser_key = inside.loser_key and ways_out.other_key = inside.identifier_key
        where inside.identifier_key is null
        group by losers.customer_key, losers.loser_key, losers.survivor_key, losers.seen_order"
    ) -%}
    {%- do quanyu.drop_work_tables([
        'merging_seen', 'merging_pairs', 'merging_edges_0', 'merging_edges_1', 'ending', 'ended', 'losers_0', 'losers_1',
        'loser_members', 'next_members', 'fct_identity_merges_links',
    ]) -%}
{%- endif -%}
{% endmacro %}
