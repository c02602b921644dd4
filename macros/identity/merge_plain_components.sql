{#- What a refresh must not take for a mere coming together of components: `careful`(identifier_key). Ends of links that
    went or say something else than that two are one; identifiers that moved in the order of first sight; those that
    went, or that a guard newly holds or lets go, with their neighbours. -#}
{% macro find_careful(identifiers, links, types, own, became_visible) %}
    {%- do quanyu.create_work_table('known_dirty', "
        select known.identifier_key, known.component_key, known.guard
        from " ~ this ~ " as known
        where known.is_current and known.identifier_key in (select identifier_key from " ~ quanyu.work_table('dirty') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('turned', "
        select dirty.identifier_key
        from " ~ quanyu.work_table('dirty') ~ " as dirty
        left join " ~ quanyu.work_table('known_dirty') ~ " as known on dirty.identifier_key = known.identifier_key
        left join " ~ quanyu.work_table('named_within') ~ " as named on dirty.identifier_key = named.identifier_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded on dirty.identifier_key = guarded.identifier_key
        where
            known.identifier_key is not null and named.identifier_key is null
            or coalesce(known.guard in ('blocked', 'hub'), false) <> (guarded.identifier_key is not null)"
    ) -%}
    {%- do quanyu.create_work_table('new_links', "
        select
            links.left_key, links.right_key,
            links.link_kind in ('record', 'hash') and " ~ quanyu.holds(own) ~ " as is_plain,
            links.left_joins and links.right_joins as joins_people
        from " ~ links ~ " as links
        where links._refresh > " ~ own.refresh ~ " or (" ~ became_visible ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('careful', "
        select left_key as identifier_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
        union
        select right_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
        union
        select named.identifier_key
        from " ~ identifiers ~ " as named
        where
            named._refresh > " ~ own.refresh ~ "
            and named.identifier_key in (select identifier_key from " ~ quanyu.work_table('known_dirty') ~ ")
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
    happened, become one without their links being read again: the customer is the older one, and only identifiers of
    the others are written.

        plain_people      (identifier_key, component_key, customer_key) of the identifiers that are new or move
        plain_customers   customers of all components that were looked at in this way
        near              identifiers whose components have to be resolved again from their links

    A group of components goes to `near` when a careful identifier is in it, when a guard speaks or has spoken in it, when
    it would hold two values of a single-valued type or more identifiers than the limit, when somebody has decided about
    it, and as soon as there is a probable link at all. -#}
{% macro merge_plain_components(identifiers, links, types, own, became_visible) %}
    {%- set limit = var('max_identifiers_per_customer') | int -%}
    {%- set some_probable = quanyu.scalar(
        "select count(*) from " ~ links ~ " where link_kind = 'probabilistic'") | int > 0 -%}
    {#- A piece is a component as it was, or an identifier that is new. -#}
    {%- do quanyu.create_work_table('pieces_of', "
        select
            named.identifier_key,
            coalesce(known.component_key, named.identifier_key) as piece,
            known.identifier_key is null as is_new
        from " ~ quanyu.work_table('dirty') ~ " as dirty
        inner join " ~ quanyu.work_table('named_within') ~ " as named on dirty.identifier_key = named.identifier_key
        inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type and types.joins_people
        left join " ~ quanyu.work_table('known_dirty') ~ " as known on named.identifier_key = known.identifier_key"
    ) -%}
    {%- do quanyu.create_work_table('piece_links', "
        select distinct
            least(left_pieces.piece, right_pieces.piece) as a, greatest(left_pieces.piece, right_pieces.piece) as b
        from " ~ quanyu.work_table('new_links') ~ " as links
        inner join " ~ quanyu.work_table('pieces_of') ~ " as left_pieces on links.left_key = left_pieces.identifier_key
        inner join " ~ quanyu.work_table('pieces_of') ~ " as right_pieces on links.right_key = right_pieces.identifier_key
        where
            links.joins_people and links.is_plain
            and left_pieces.piece <> right_pieces.piece
            and links.left_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")
            and links.right_key not in (select identifier_key from " ~ quanyu.work_table('guarded') ~ ")"
    ) -%}
    {%- do quanyu.connected_components(
        'select a, b from ' ~ quanyu.work_table('piece_links'), 'joined_pieces', 'pieces') -%}
    {%- do quanyu.create_work_table('pieces', "
        with pieces as (
            select piece, max(case when is_new then 1 else 0 end) = 1 as is_new
            from " ~ quanyu.work_table('pieces_of') ~ "
            group by piece
        ),
        known as (
            select
                known.component_key, count(*) as identifiers,
                min(known.customer_key) as customer_key,
                min(known.customer_key) <> max(known.customer_key)
                or count(known.guard) > 0 or count(known.parted_by) > 0 as is_parted
            from " ~ this ~ " as known
            where known.component_key in (select piece from pieces)
            group by known.component_key
        )
        select
            pieces.piece,
            pieces.is_new,
            coalesce(joined_pieces.component, pieces.piece) as component_key,
            coalesce(known.identifiers, 1) as identifiers,
            coalesce(known.customer_key, pieces.piece) as customer_key,
            coalesce(known.is_parted, false) as is_parted
        from pieces
        left join known on pieces.piece = known.component_key
        left join " ~ quanyu.work_table('joined_pieces') ~ " as joined_pieces on pieces.piece = joined_pieces.id"
    ) -%}
    {#- What no one person can hold, read off the identifiers of single-valued types alone. -#}
    {%- do quanyu.create_work_table('components', "
        select known.identifier_key as id, pieces.component_key as component
        from " ~ this ~ " as known
        inner join " ~ quanyu.work_table('pieces') ~ " as pieces on known.component_key = pieces.piece
        where
            known.identifier_type in (
                select identifier_type from " ~ types ~ " where values_per_person <> 'many'
            )
        union
        select pieces_of.identifier_key, pieces.component_key
        from " ~ quanyu.work_table('pieces_of') ~ " as pieces_of
        inner join " ~ quanyu.work_table('pieces') ~ " as pieces on pieces_of.piece = pieces.piece
        where pieces_of.is_new"
    ) -%}
    {%- do quanyu.collect_decided_links(links) -%}
    {%- do quanyu.create_work_table('careful_or_decided', "
        select identifier_key from " ~ quanyu.work_table('careful') ~ "
        union
        select left_key from " ~ quanyu.work_table('decided_links') ~ "
        union
        select right_key from " ~ quanyu.work_table('decided_links')
    ) -%}
    {%- do quanyu.create_work_table('careful_groups', "
        select component as component_key
        from (" ~ quanyu.exclusive_values_sql(identifiers, links, types) ~ ") as exclusive
        group by component, exclusive_in
        having count(*) > 1
        union
        select component_key from " ~ quanyu.work_table('pieces') ~ "
        group by component_key
        having sum(identifiers) > " ~ limit ~ " or max(case when is_parted then 1 else 0 end) = 1
        union
        select pieces.component_key
        from " ~ quanyu.work_table('pieces') ~ " as pieces
        inner join (
            select known.component_key as piece
            from " ~ this ~ " as known
            where known.identifier_key in (select identifier_key from " ~ quanyu.work_table('careful_or_decided') ~ ")
            union
            select identifier_key from " ~ quanyu.work_table('careful_or_decided') ~ "
        ) as careful on pieces.piece = careful.piece
        " ~ ("union select component_key from " ~ quanyu.work_table('pieces') if some_probable else "")
    ) -%}
    {%- do quanyu.create_work_table('near', "
        select identifier_key from " ~ quanyu.work_table('careful') ~ "
        union
        select dirty.identifier_key
        from " ~ quanyu.work_table('dirty') ~ " as dirty
        left join " ~ quanyu.work_table('pieces_of') ~ " as pieces_of
            on dirty.identifier_key = pieces_of.identifier_key
        left join " ~ quanyu.work_table('pieces') ~ " as pieces on pieces_of.piece = pieces.piece
        where
            pieces.piece is null
            or pieces.component_key in (select component_key from " ~ quanyu.work_table('careful_groups') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('plain_groups', "
        select
            pieces.component_key, pieces.piece, pieces.is_new, pieces.customer_key as former_customer_key,
            first_value(pieces.customer_key) over (
                partition by pieces.component_key
                order by named.first_seen_order, pieces.customer_key
            ) as customer_key
        from " ~ quanyu.work_table('pieces') ~ " as pieces
        inner join " ~ identifiers ~ " as named on pieces.customer_key = named.identifier_key
        where pieces.component_key not in (select component_key from " ~ quanyu.work_table('careful_groups') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('plain_people', "
        select known.identifier_key, plain.component_key, plain.customer_key
        from " ~ this ~ " as known
        inner join " ~ quanyu.work_table('plain_groups') ~ " as plain
            on
                known.component_key = plain.piece
                and (plain.component_key <> plain.piece or plain.customer_key <> plain.former_customer_key)
        where not plain.is_new
        union all
        select piece, component_key, customer_key
        from " ~ quanyu.work_table('plain_groups') ~ "
        where is_new"
    ) -%}
    {%- do quanyu.create_work_table('plain_customers', "
        select distinct customer_key from " ~ quanyu.work_table('plain_groups')
    ) -%}
    {%- do quanyu.drop_work_tables([
        'known_dirty', 'turned', 'new_links', 'pieces_of', 'piece_links', 'joined_pieces', 'pieces', 'components',
        'careful_or_decided', 'careful_groups', 'plain_groups',
    ]) -%}
{% endmacro %}
