{#- What a refresh must not take for a mere coming together of components: `careful`(identifier_key). Ends of links that
    went or say something else than that two are one; identifiers that moved in the order of first sight; those that
    went, or that a guard newly holds or lets go, with their neighbours. -#}
{% macro find_careful(links, types, own) %}
    {%- do quanyu.create_work_table('turned', "
        select dirty.identifier_key
        from " ~ quanyu.work_table('dirty') ~ " as dirty
        left join " ~ quanyu.work_table('known_dirty') ~ " as known on dirty.identifier_key = known.identifier_key
        left join " ~ quanyu.work_table('named_dirty') ~ " as named on dirty.identifier_key = named.identifier_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded on dirty.identifier_key = guarded.identifier_key
        where
            known.identifier_key is not null and named.identifier_key is null
            or coalesce(known.guard in ('blocked', 'hub'), false) <> (guarded.identifier_key is not null)"
    ) -%}
    {%- do quanyu.create_work_table('careful', "
        select left_key as identifier_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
        union
        select right_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
        union
        select identifier_key
        from " ~ quanyu.work_table('fresh_named') ~ "
        where identifier_key in (select identifier_key from " ~ quanyu.work_table('known_dirty') ~ ")
        union
        select " ~ quanyu.member_key() ~ " from " ~ ref('base_landing__memberships') ~ "
        where
            _refresh > " ~ own.refresh ~ " and _reasons is null
            and exists (select 1 from " ~ types ~ " where values_per_person = 'one_per_brand')
        union
        select identifier_key from " ~ quanyu.work_table('turned') ~ "
        union
        select right_key from " ~ links ~ "
        where is_in_force and left_key in (select identifier_key from " ~ quanyu.work_table('turned') ~ ")
        union
        select left_key from " ~ links ~ "
        where is_in_force and right_key in (select identifier_key from " ~ quanyu.work_table('turned') ~ ")"
    ) -%}
{% endmacro %}


{#- The upper level of the map: node, component, customer. Components that new links join, and where nothing else has
    happened, become one without their links being read again: the customer is the oldest one, and only rows that differ
    are written. Where they hold more identifiers than the limit together, each of these is left to itself, with its hashes.

        plain_moved        (identifier_key, customer_key, guard, former_customer_key) of those whose rows differ, and
        plain_resolved     these rows
        plain_customers    customers that were looked at in this way
        dirty_devices      changed identifiers that do not join people
        near               identifiers whose components have to be resolved again from their links; returns their number

    A group of components goes to `near` when a careful identifier is in it, when it has been parted or would hold two
    values of a single-valued type, when somebody has decided about it, when a hash comes to one that is too large, and as
    soon as there is a probable link at all. A new link inside one component changes nothing but the evidence. -#}
{% macro merge_plain_components(identifiers, links, types, own) %}
    {%- set limit, text = var('max_identifiers_per_customer') | int, dbt.type_string() -%}
    {%- set some_probable = quanyu.scalar(
        "select count(*) from " ~ links ~ " where link_kind = 'probabilistic'") | int > 0 -%}
    {%- do quanyu.create_work_table('dirty_devices', "
        select named.identifier_key
        from (
            select identifier_key, identifier_type from " ~ quanyu.work_table('known_dirty') ~ "
            union
            select identifier_key, identifier_type from " ~ quanyu.work_table('fresh_named') ~ "
        ) as named
        inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type and not types.joins_people"
    ) -%}
    {#- A piece is a component as it was, or an identifier that is new. -#}
    {%- do quanyu.create_work_table('pieces_of', "
        select
            named.identifier_key,
            coalesce(known.component_key, named.identifier_key) as piece,
            known.identifier_key is null as is_new,
            known.parted_by is not null as is_parted,
            coalesce(known.guard = 'too_large', false) as is_too_large
        from " ~ quanyu.work_table('named_dirty') ~ " as named
        left join " ~ quanyu.work_table('known_dirty') ~ " as known on named.identifier_key = known.identifier_key
        where named.joins_people"
    ) -%}
    {%- do quanyu.create_work_table('piece_links', "
        select
            least(left_pieces.piece, right_pieces.piece) as a, greatest(left_pieces.piece, right_pieces.piece) as b,
            max(case when links.link_kind = 'hash' then 1 else 0 end) as is_hash
        from " ~ quanyu.work_table('new_links') ~ " as links
        inner join " ~ quanyu.work_table('pieces_of') ~ " as left_pieces on links.left_key = left_pieces.identifier_key
        inner join " ~ quanyu.work_table('pieces_of') ~ " as right_pieces on links.right_key = right_pieces.identifier_key
        where
            links.joins_people and links.is_plain
            and links.left_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")
            and links.right_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")
        group by least(left_pieces.piece, right_pieces.piece), greatest(left_pieces.piece, right_pieces.piece)"
    ) -%}
    {%- do quanyu.connected_components(
        'select a, b from ' ~ quanyu.work_table('piece_links') ~ ' where a <> b', 'joined_pieces', 'pieces') -%}
    {%- do quanyu.create_work_table('pieces', "
        select
            pieces.piece,
            pieces.is_new,
            pieces.is_parted,
            pieces.is_too_large,
            coalesce(joined_pieces.component, pieces.piece) as component_key,
            joined_pieces.id is not null as is_joined,
            hashed.piece is not null as is_hashed
        from (
            select
                piece, max(case when is_new then 1 else 0 end) = 1 as is_new,
                max(case when is_parted then 1 else 0 end) = 1 as is_parted,
                max(case when is_too_large then 1 else 0 end) = 1 as is_too_large
            from " ~ quanyu.work_table('pieces_of') ~ "
            group by piece
        ) as pieces
        left join " ~ quanyu.work_table('joined_pieces') ~ " as joined_pieces on pieces.piece = joined_pieces.id
        left join (
            select a as piece from " ~ quanyu.work_table('piece_links') ~ " where is_hash = 1
            union
            select b from " ~ quanyu.work_table('piece_links') ~ " where is_hash = 1
        ) as hashed on pieces.piece = hashed.piece"
    ) -%}
    {#- Everybody in a component that is joined to another one, and identifiers that are new. -#}
    {%- do quanyu.create_work_table('members', "
        select
            known.identifier_key, known.identifier_type, known.identifier_value, known.customer_key, known.guard,
            known.component_key as piece, pieces.component_key
        from " ~ this ~ " as known
        inner join " ~ quanyu.work_table('pieces') ~ " as pieces
            on known.component_key = pieces.piece and pieces.is_joined and not pieces.is_new
        union all
        select
            fresh.identifier_key, fresh.identifier_type, fresh.identifier_value,
            cast(null as bigint) as customer_key, cast(null as " ~ text ~ ") as guard,
            pieces.piece, pieces.component_key
        from " ~ quanyu.work_table('fresh_named') ~ " as fresh
        inner join " ~ quanyu.work_table('pieces') ~ " as pieces on fresh.identifier_key = pieces.piece and pieces.is_new"
    ) -%}
    {#- What no one person can hold, read off the identifiers of single-valued types alone. -#}
    {%- do quanyu.create_work_table('components', "
        select identifier_key as id, component_key as component
        from " ~ quanyu.work_table('members') ~ "
        where identifier_type in (select identifier_type from " ~ types ~ " where values_per_person <> 'many')"
    ) -%}
    {%- do quanyu.create_work_table('large_groups', "
        select component_key
        from " ~ quanyu.work_table('members') ~ "
        group by component_key
        having count(*) > " ~ limit
    ) -%}
    {%- do quanyu.create_work_table('careful_groups', "
        select component as component_key
        from (" ~ quanyu.exclusive_values_sql(quanyu.work_table('members'), links, types) ~ ") as exclusive
        group by component, exclusive_in
        having count(*) > 1
        union
        select component_key from " ~ quanyu.work_table('pieces') ~ "
        where
            is_parted
            or is_hashed and (
                is_too_large or component_key in (select component_key from " ~ quanyu.work_table('large_groups') ~ ")
            )
            " ~ ("or true" if some_probable else "") ~ "
        union
        select component_key
        from " ~ quanyu.work_table('members') ~ "
        where identifier_key in (
            select identifier_key from " ~ quanyu.work_table('careful') ~ "
            union all
            select left_key from " ~ quanyu.work_table('decided_links') ~ "
            union all
            select right_key from " ~ quanyu.work_table('decided_links') ~ "
        )"
    ) -%}
    {%- set near = quanyu.create_counted_work_table('near', "
        select identifier_key
        from " ~ quanyu.work_table('careful') ~ "
        where identifier_key not in (select identifier_key from " ~ quanyu.work_table('dirty_devices') ~ ")
        union
        select pieces_of.identifier_key
        from " ~ quanyu.work_table('pieces_of') ~ " as pieces_of
        inner join " ~ quanyu.work_table('pieces') ~ " as pieces on pieces_of.piece = pieces.piece
        where pieces.component_key in (select component_key from " ~ quanyu.work_table('careful_groups') ~ ")"
    ) -%}
    {#- The others: those who may give the group its name, and pairs that stay together whatever is refused. -#}
    {%- do quanyu.create_work_table('plain_members', "
        select
            members.identifier_key, members.customer_key, members.guard, members.piece, members.component_key,
            large_groups.component_key is not null as is_too_large
        from " ~ quanyu.work_table('members') ~ " as members
        left join " ~ quanyu.work_table('large_groups') ~ " as large_groups
            on members.component_key = large_groups.component_key
        where members.component_key not in (select component_key from " ~ quanyu.work_table('careful_groups') ~ ")"
    ) -%}
    {%- set firm = quanyu.create_counted_work_table('firm_edges', "
        select
            least(links.left_key, links.right_key) as a, greatest(links.left_key, links.right_key) as b
        from " ~ links ~ " as links
        inner join " ~ quanyu.work_table('plain_members') ~ " as members
            on links.left_key = members.identifier_key and members.is_too_large
        inner join " ~ quanyu.work_table('plain_members') ~ " as others on links.right_key = others.identifier_key
        where links.link_kind = 'hash' and links.is_in_force"
    ) -%}
    {%- if firm -%}
        {%- do quanyu.connected_components('select a, b from ' ~ quanyu.work_table('firm_edges'), 'firm', 'firm') -%}
    {%- else -%}
        {%- do quanyu.create_work_table('firm', 'select a as id, b as component from ' ~ quanyu.work_table('firm_edges')) -%}
    {%- endif -%}
    {#- Clusters, each with those who may be its first. -#}
    {%- do quanyu.create_work_table('plain_clusters', "
        select
            members.identifier_key,
            case
                when not members.is_too_large then members.component_key
                else coalesce(firm.component, members.identifier_key)
            end as cluster_key,
            members.is_too_large
            or coalesce(members.customer_key, members.identifier_key) = members.identifier_key as may_be_first
        from " ~ quanyu.work_table('plain_members') ~ " as members
        left join " ~ quanyu.work_table('firm') ~ " as firm on members.identifier_key = firm.id"
    ) -%}
    {%- do quanyu.create_work_table('rivals', "
        select cluster_key, identifier_key
        from " ~ quanyu.work_table('plain_clusters') ~ "
        where
            may_be_first and cluster_key in (
                select cluster_key from " ~ quanyu.work_table('plain_clusters') ~ "
                where may_be_first
                group by cluster_key
                having count(*) > 1
            )"
    ) -%}
    {%- do quanyu.create_work_table('first_nodes', "
        select distinct
            rivals.cluster_key,
            first_value(rivals.identifier_key) over (
                partition by rivals.cluster_key
                order by named.first_seen_order, rivals.identifier_key
            ) as customer_key
        from " ~ quanyu.work_table('rivals') ~ " as rivals
        inner join " ~ identifiers ~ " as named on rivals.identifier_key = named.identifier_key
        union all
        select cluster_key, identifier_key
        from " ~ quanyu.work_table('plain_clusters') ~ "
        where may_be_first and cluster_key not in (select cluster_key from " ~ quanyu.work_table('rivals') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('plain_moved', "
        select moved.*
        from (
            select
                members.identifier_key, members.piece, members.component_key,
                members.customer_key as former_customer_key, members.guard as former_guard,
                first_nodes.customer_key,
                case when members.is_too_large then 'too_large' end as guard
            from " ~ quanyu.work_table('plain_members') ~ " as members
            inner join " ~ quanyu.work_table('plain_clusters') ~ " as clusters
                on members.identifier_key = clusters.identifier_key
            inner join " ~ quanyu.work_table('first_nodes') ~ " as first_nodes
                on clusters.cluster_key = first_nodes.cluster_key
        ) as moved
        where
            moved.former_customer_key is null
            or moved.former_customer_key <> moved.customer_key
            or moved.piece <> moved.component_key
            or coalesce(moved.former_guard, '') <> coalesce(moved.guard, '')"
    ) -%}
    {%- do quanyu.create_work_table('plain_resolved', "
        select
            moved.identifier_key,
            named.identifier_type,
            named.identifier_value,
            moved.customer_key,
            " ~ quanyu.public_customer_id('first_named.identifier_type', 'first_named.identifier_value') ~ " as customer_id,
            moved.component_key,
            moved.guard,
            case when moved.guard is not null then '" ~ quanyu.too_large_detail() ~ "' end as guard_detail
        from " ~ quanyu.work_table('plain_moved') ~ " as moved
        inner join " ~ quanyu.work_table('members') ~ " as named on moved.identifier_key = named.identifier_key
        inner join " ~ quanyu.work_table('members') ~ " as first_named
            on moved.customer_key = first_named.identifier_key"
    ) -%}
    {%- do quanyu.create_work_table('plain_customers', "
        select customer_key from " ~ quanyu.work_table('known_dirty') ~ "
        union
        select customer_key from " ~ quanyu.work_table('plain_moved')
    ) -%}
    {%- do quanyu.drop_work_tables([
        'turned', 'pieces_of', 'piece_links', 'joined_pieces', 'pieces', 'members', 'components', 'large_groups',
        'careful_groups', 'plain_members', 'firm_edges', 'firm', 'plain_clusters', 'rivals', 'first_nodes',
    ]) -%}
    {{ return(near) }}
{% endmacro %}


{#- Customers that have gained or lost an identifier in this way, as a part of a union. -#}
{% macro plainly_changed_sql() -%}
    union all
    select customer_key from {{ quanyu.work_table('plain_moved') }}
    where former_customer_key is null or former_customer_key <> customer_key
    union all
    select former_customer_key from {{ quanyu.work_table('plain_moved') }}
    where former_customer_key <> customer_key
{%- endmacro %}


{#- Adds those whose rows differ in this way to `changed_identifiers`. -#}
{% macro add_plain_identifiers() %}
    {%- do run_query('insert into ' ~ quanyu.work_table('changed_identifiers') ~ ' select identifier_key from '
        ~ quanyu.work_table('plain_moved')) -%}
{% endmacro %}


{#- The tables of a refresh that resolves everybody again. -#}
{% macro no_plain_rows() %}
    {%- do quanyu.create_work_table('plain_resolved', "
        select
            identifier_key, identifier_type, identifier_value, customer_key, customer_id, component_key, guard,
            guard_detail
        from " ~ this ~ "
        where 1 = 0"
    ) -%}
{% endmacro %}
