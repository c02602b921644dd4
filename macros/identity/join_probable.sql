{#- Second level of the resolution, cluster by cluster: links of kind `probabilistic` join what landed links have made,
    and never part it. `clusters` gets the larger ones, and components that hold probable links too, so that what has
    to be resolved again stays closed under links.

    Refused are links of an identifier with more look-alikes than its type may be seen with; links between two
    clusters that cannot be one person; and, since nobody can say which of them is wrong, all links of a group that
    still holds what no one person can, or more identifiers than the limit. What is refused leaves both sides as they
    were. Without such links nothing is done. -#}
{% macro join_probable(identifiers, links, types, own) %}
    {%- set limit = var('max_identifiers_per_customer') | int -%}
    {%- set text = dbt.type_string() -%}
    {%- do quanyu.create_work_table('probable_links', "
        select links.left_key, links.right_key
        from " ~ links ~ " as links
        where
            links.link_kind = 'probabilistic'
            and " ~ quanyu.holds(own) ~ "
            and links.left_joins and links.right_joins
            and links.left_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")
            and links.right_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")
            " ~ ("" if own.rebuild else "
            and links.left_key in (select identifier_key from " ~ quanyu.work_table('scope') ~ ")
            and links.right_key in (select identifier_key from " ~ quanyu.work_table('scope') ~ ")")
    ) -%}
    {%- if quanyu.scalar('select count(*) from ' ~ quanyu.work_table('probable_links')) | int > 0 -%}
        {%- do quanyu.create_work_table('probable_hubs', "
            select degrees.identifier_key
            from (
                select identifier_key, count(*) as degree
                from (
                    select left_key as identifier_key from " ~ quanyu.work_table('probable_links') ~ "
                    union all
                    select right_key from " ~ quanyu.work_table('probable_links') ~ "
                ) as ends
                group by identifier_key
            ) as degrees
            inner join " ~ identifiers ~ " as named on degrees.identifier_key = named.identifier_key
            inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type
            where degrees.degree > types.max_degree"
        ) -%}
        {#- Identifiers that no landed link joins are clusters of their own. -#}
        {%- do quanyu.create_work_table('every_cluster', "
            select identifier_key, component_key, cluster_key, guard, guard_detail, parted_by
            from " ~ quanyu.work_table('clusters') ~ "
            union all
            select
                ends.identifier_key, ends.identifier_key, ends.identifier_key,
                cast(null as " ~ text ~ "), cast(null as " ~ text ~ "), cast(null as " ~ text ~ ")
            from (
                select left_key as identifier_key from " ~ quanyu.work_table('probable_links') ~ "
                union
                select right_key from " ~ quanyu.work_table('probable_links') ~ "
            ) as ends
            left join " ~ quanyu.work_table('clusters') ~ " as clusters
                on ends.identifier_key = clusters.identifier_key
            where clusters.identifier_key is null"
        ) -%}
        {%- do quanyu.create_work_table('probable_edges', "
            select distinct
                least(left_side.component_key, right_side.component_key) as component_a,
                greatest(left_side.component_key, right_side.component_key) as component_b,
                least(left_side.cluster_key, right_side.cluster_key) as a,
                greatest(left_side.cluster_key, right_side.cluster_key) as b,
                left_side.guard is null
                and right_side.guard is null
                and links.left_key not in (select identifier_key from " ~ quanyu.work_table('probable_hubs') ~ ")
                and links.right_key not in (select identifier_key from " ~ quanyu.work_table('probable_hubs') ~ ")
                and left_side.cluster_key <> right_side.cluster_key as is_candidate
            from " ~ quanyu.work_table('probable_links') ~ " as links
            inner join " ~ quanyu.work_table('every_cluster') ~ " as left_side
                on links.left_key = left_side.identifier_key
            inner join " ~ quanyu.work_table('every_cluster') ~ " as right_side
                on links.right_key = right_side.identifier_key"
        ) -%}
        {%- do quanyu.connected_components("
            select component_a as a, component_b as b from " ~ quanyu.work_table('probable_edges') ~ "
            where component_a <> component_b", 'wide_components', 'wide') -%}
        {%- do quanyu.connected_components("
            select a, b from " ~ quanyu.work_table('probable_edges') ~ " where is_candidate", 'groups', 'groups') -%}
        {%- do quanyu.create_work_table('components', "
            select members.identifier_key as id, groups.component
            from " ~ quanyu.work_table('every_cluster') ~ " as members
            inner join " ~ quanyu.work_table('groups') ~ " as groups on members.cluster_key = groups.id"
        ) -%}
        {%- do quanyu.create_work_table('cluster_values', "
            select distinct members.cluster_key, exclusive.exclusive_in
            from (" ~ quanyu.exclusive_values_sql(identifiers, links, types) ~ ") as exclusive
            inner join " ~ quanyu.work_table('every_cluster') ~ " as members
                on exclusive.identifier_key = members.identifier_key"
        ) -%}
        {%- do quanyu.create_work_table('compatible', "
            select edges.a, edges.b
            from " ~ quanyu.work_table('probable_edges') ~ " as edges
            where
                edges.is_candidate
                and not exists (
                    select 1
                    from " ~ quanyu.work_table('cluster_values') ~ " as left_values
                    inner join " ~ quanyu.work_table('cluster_values') ~ " as right_values
                        on left_values.exclusive_in = right_values.exclusive_in
                    where left_values.cluster_key = edges.a and right_values.cluster_key = edges.b
                )"
        ) -%}
        {%- do quanyu.connected_components("
            select a, b from " ~ quanyu.work_table('compatible'), 'groups', 'groups') -%}
        {%- do quanyu.create_work_table('impossible_groups', "
            select groups.component
            from " ~ quanyu.work_table('cluster_values') ~ " as held
            inner join " ~ quanyu.work_table('groups') ~ " as groups on held.cluster_key = groups.id
            group by groups.component, held.exclusive_in
            having count(*) > 1
            union
            select groups.component
            from " ~ quanyu.work_table('every_cluster') ~ " as members
            inner join " ~ quanyu.work_table('groups') ~ " as groups on members.cluster_key = groups.id
            group by groups.component
            having count(*) > " ~ limit
        ) -%}
        {%- do quanyu.create_work_table('clusters', "
            select
                members.identifier_key,
                coalesce(wide.component, members.component_key) as component_key,
                coalesce(groups.component, members.cluster_key) as cluster_key,
                members.guard,
                members.guard_detail,
                members.parted_by
            from " ~ quanyu.work_table('every_cluster') ~ " as members
            left join " ~ quanyu.work_table('wide_components') ~ " as wide on members.component_key = wide.id
            left join " ~ quanyu.work_table('groups') ~ " as groups
                on
                    members.cluster_key = groups.id
                    and groups.component not in (select component from " ~ quanyu.work_table('impossible_groups') ~ ")"
        ) -%}
        {%- do quanyu.drop_work_tables([
            'probable_hubs', 'probable_edges', 'every_cluster', 'wide_components', 'groups', 'cluster_values',
            'compatible', 'impossible_groups',
        ]) -%}
    {%- endif -%}
{% endmacro %}
