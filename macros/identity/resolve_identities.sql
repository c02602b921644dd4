{#- Who is who. A pre-hook of int_identity__resolution: computes, in work tables of that model's connection,

      owners                customer, component and guard of every identifier that had to be resolved again from its links
      owner_names           their texts, and those of their customers; in a first build all identifiers have them
      customer_ids          (customer_key, customer_id) of these customers
      plain_resolved        rows of the model for identifiers whose components only grew (merge_plain_components)
      changed_identifiers   identifiers whose rows differ from what the model holds
      changed_customers     customers that were resolved again, and whether their identifiers or times changed

    The rows are a pure function of identifiers, links, seeds, vars and the as-of date. A refresh works on the
    components, as they were, of every identifier whose rows, links or guards have changed, together with every
    identifier that is new; that set is closed under links. Where links only came and no decision or conflict speaks,
    components are joined whole (merge_plain_components); all others are resolved again from their links by the code of
    a rebuild. Either way the result equals a rebuild. docs/identity.md walks through the steps. -#}
{% macro resolve_identities() %}
{%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set identifiers = ref('int_identity__identifiers') -%}
    {%- set links = ref('int_identity__links') -%}
    {%- set types = ref('identifier_types') -%}
    {%- set own = quanyu.own_resolution_state() -%}

    {#- 1. What has to be resolved again: `scope`. In a rebuild everything, so that the table is not made. -#}
    {%- set again = {'people': 1, 'all': 1} -%}
    {%- if own.rebuild -%}
        {%- do quanyu.find_guarded(identifiers, links, types, own) -%}
        {%- do quanyu.collect_decided_links(links) -%}
    {%- else -%}
        {%- set again = quanyu.find_scope(identifiers, links, types, own) -%}
    {%- endif -%}

    {%- if again.people -%}
        {#- 2. Edges among people's identifiers that no guard refuses, and their components. -#}
        {%- do quanyu.create_work_table('edges', quanyu.joining_edges_sql(identifiers, links, own)) -%}
        {%- do quanyu.drop_work_tables(['pairs']) -%}
        {%- do quanyu.connected_components('select a, b from ' ~ quanyu.work_table('edges'), 'components') -%}

        {#- 3. Components that hold what no one person can hold come apart. -#}
        {%- do quanyu.part_conflicts(identifiers, links, types) -%}

        {#- 4. What is left joins where profiles say that two are probably one person. -#}
        {%- do quanyu.join_probable(identifiers, links, types, own) -%}

        {#- 5. The customer of a cluster is its first node; then devices find their people. -#}
        {%- do quanyu.name_customers(identifiers, types, own) -%}
    {%- else -%}
        {%- do quanyu.no_people() -%}
    {%- endif -%}
    {%- if again.all -%}
        {%- do quanyu.attach_devices(identifiers, links, types, own) -%}
    {%- endif -%}
    {%- do quanyu.collect_owners(identifiers, types, own, again) -%}
{%- endif -%}
{% endmacro %}


{#- {rebuild, known, refresh, as_of, settings, has_rows}: what the model holds, and whether all of it is resolved again:
    on a full refresh, and when a seed or var that the guards read has changed. -#}
{% macro own_resolution_state() %}
    {%- set settings = quanyu.identity_settings() -%}
    {%- set as_of = quanyu.scalar('select max(as_of_date) from ' ~ ref('as_of')) -%}
    {%- if not is_incremental() -%}
        {{ return({'rebuild': true, 'known': false, 'refresh': -1, 'as_of': as_of, 'settings': settings}) }}
    {%- endif -%}
    {%- set row = run_query(
        'select coalesce(max(_refresh), 0), max_by(as_of_date, _refresh), max_by(_settings, _refresh) from ' ~ this
    ).rows[0] -%}
    {{ return({'rebuild': row[2] != settings, 'known': true, 'refresh': row[0], 'as_of': as_of, 'was_as_of': row[1],
               'settings': settings}) }}
{% endmacro %}


{#- Fingerprint of the seeds and vars that the guards read, and of the order in which a golden record is chosen: everybody
    is looked at again when it changes. -#}
{% macro identity_settings() %}
    {%- set said = [var('max_identifiers_per_customer') | string, env_var('QUANYU_SALT', '')] -%}
    {%- for query in [
        'select identifier_type, joins_people, values_per_person, max_degree, priority from ' ~ ref('identifier_types')
            ~ ' order by identifier_type',
        'select identifier_type, match, blocked from ' ~ ref('identity_blocklist') ~ ' order by 1, 2, 3',
        'select attribute, source_system, source_priority from ' ~ ref('survivorship') ~ ' order by 1, 2, 3',
    ] -%}
        {%- for row in run_query(query).rows -%}{%- do said.append(row.values() | join('|')) -%}{%- endfor -%}
    {%- endfor -%}
    {{ return(local_md5(said | join('\n'))) }}
{% endmacro %}


{#- Links that hold at the as-of date, as a condition on int_identity__links. -#}
{% macro holds(own, links='links') -%}
    {{ links }}.is_in_force
    and ({{ links }}.linked_at is null or cast({{ links }}.linked_at as date) <= date '{{ own.as_of or '9999-12-31' }}')
{%- endmacro %}

{% macro joining_types() -%}
    (select identifier_type from {{ ref('identifier_types') }} where joins_people)
{%- endmacro %}


{#- What a refresh has to look at again, in work tables:

        dirty              identifiers whose rows, links or memberships have changed
        plain_resolved     rows of those whose components only grew (merge_plain_components)
        people_in_scope    people's identifiers to resolve again from their links
        scope              these, and devices that are linked to somebody who moved
        guarded            those of them that a guard keeps from joining

    Returns {people, all}: how many there are in people_in_scope and in scope. -#}
{% macro find_scope(identifiers, links, types, own) %}
    {%- set as_of, was_as_of = (own.as_of or '9999-12-31') | string, (own.was_as_of or '9999-12-31') | string -%}
    {%- set became_visible = 'false' -%}
    {%- if as_of != was_as_of -%}
        {%- set became_visible = "cast(links.linked_at as date) > least(date '" ~ as_of ~ "', date '" ~ was_as_of
            ~ "') and cast(links.linked_at as date) <= greatest(date '" ~ as_of ~ "', date '" ~ was_as_of ~ "')" -%}
    {%- endif -%}
    {%- do quanyu.create_work_table('fresh_named', "
        select identifier_key, identifier_type, identifier_value, is_in_force
        from " ~ identifiers ~ "
        where _refresh > " ~ own.refresh
    ) -%}
    {%- do quanyu.create_work_table('new_links', "
        select
            links.left_key, links.right_key, links.link_kind,
            links.link_kind in ('record', 'hash') and " ~ quanyu.holds(own) ~ " as is_plain,
            links.left_joins and links.right_joins as joins_people
        from " ~ links ~ " as links
        where links._refresh > " ~ own.refresh ~ " or (" ~ became_visible ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('dirty', "
        select identifier_key from " ~ quanyu.work_table('fresh_named') ~ "
        union
        select left_key from " ~ quanyu.work_table('new_links') ~ "
        union
        select right_key from " ~ quanyu.work_table('new_links') ~ "
        union
        select " ~ quanyu.member_key() ~ " from " ~ ref('base_landing__memberships') ~ "
        where _refresh > " ~ own.refresh ~ " and _reasons is null"
    ) -%}
    {%- do quanyu.create_work_table('known_dirty', "
        select
            known.identifier_key, known.identifier_type, known.customer_key, known.component_key, known.guard,
            known.parted_by
        from " ~ this ~ " as known
        where known.is_current and known.identifier_key in (select identifier_key from " ~ quanyu.work_table('dirty') ~ ")"
    ) -%}
    {#- What the model knows and nothing has changed since is in force. -#}
    {%- do quanyu.create_work_table('named_dirty', "
        select named.identifier_key, named.identifier_type, types.joins_people, types.max_degree
        from (
            select identifier_key, identifier_type from " ~ quanyu.work_table('fresh_named') ~ " where is_in_force
            union all
            select identifier_key, identifier_type from " ~ quanyu.work_table('known_dirty') ~ "
            where identifier_key not in (select identifier_key from " ~ quanyu.work_table('fresh_named') ~ ")
        ) as named
        inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type"
    ) -%}
    {%- do quanyu.find_guarded_again(links, types, own) -%}
    {%- do quanyu.find_careful(links, types, own) -%}
    {%- do quanyu.collect_decided_links(links) -%}
    {%- set near = quanyu.merge_plain_components(identifiers, links, types, own) -%}
    {%- do quanyu.create_work_table('people_in_scope', "
        select identifier_key from " ~ quanyu.work_table('near') ~ ("
        union
        select known.identifier_key
        from " ~ this ~ " as known
        where known.component_key in (
            select known_near.component_key
            from " ~ this ~ " as known_near
            where known_near.identifier_key in (select identifier_key from " ~ quanyu.work_table('near') ~ ")
        )" if near else "")
    ) -%}
    {#- Devices follow the people they are linked to. -#}
    {%- set all = quanyu.create_counted_work_table('scope', "
        with moved as (
            select identifier_key from " ~ quanyu.work_table('people_in_scope') ~ "
            union
            select identifier_key from " ~ quanyu.work_table('plain_moved') ~ "
        )
        select identifier_key from " ~ quanyu.work_table('people_in_scope') ~ "
        union
        select identifier_key from " ~ quanyu.work_table('dirty_devices') ~ "
        union
        select left_key from " ~ links ~ "
        where is_in_force and not left_joins and right_key in (select identifier_key from moved)
        union
        select right_key from " ~ links ~ "
        where is_in_force and not right_joins and left_key in (select identifier_key from moved)"
    ) -%}
    {%- if all -%}
        {#- Those of the scope that did not change keep the guard they had. -#}
        {%- do quanyu.create_work_table('guarded_in_scope', "
            select identifier_key, guard, guard_detail from " ~ quanyu.work_table('guarded') ~ "
            union all
            select known.identifier_key, known.guard, known.guard_detail
            from " ~ this ~ " as known
            where
                known.is_current and known.guard in ('blocked', 'hub')
                and known.identifier_key in (select identifier_key from " ~ quanyu.work_table('scope') ~ ")
                and known.identifier_key not in (select identifier_key from " ~ quanyu.work_table('dirty') ~ ")"
        ) -%}
        {%- do quanyu.create_work_table('guarded', 'select * from ' ~ quanyu.work_table('guarded_in_scope')) -%}
    {%- endif -%}
    {{ return({'people': near, 'all': all}) }}
{% endmacro %}


{#- `guarded`(identifier_key, guard, guard_detail): identifiers that stand for nobody in particular: on the block-list,
    or seen with more other identifiers than their type allows. Also `pairs`(a, b), all that are seen together. -#}
{% macro find_guarded(identifiers, links, types, own) %}
    {%- do quanyu.create_work_table('pairs', "
        select distinct
            least(links.left_key, links.right_key) as a, greatest(links.left_key, links.right_key) as b
        from " ~ links ~ " as links
        where " ~ quanyu.holds(own) ~ " and links.left_joins and links.right_joins
            and links.link_kind not in ('split', 'override', 'probabilistic')"
    ) -%}
    {%- do quanyu.create_work_table('guarded', "
        with blocked as (
            " ~ quanyu.blocked_sql(identifiers, types) ~ "
        ),
        degrees as (
            select identifier_key, count(*) as degree
            from (" ~ quanyu.pairs_both_ways_sql() ~ ") as pairs
            group by identifier_key
            having count(*) > (select min(max_degree) from " ~ types ~ ")
        ),
        hubs as (
            select degrees.identifier_key, types.max_degree
            from degrees
            inner join " ~ identifiers ~ " as named on degrees.identifier_key = named.identifier_key
            inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type
            where degrees.degree > types.max_degree
        )
        " ~ quanyu.guarded_sql()
    ) -%}
{% endmacro %}


{#- The same for the identifiers in `dirty`. Who is on the block-list was found out when the identifier was new, and a
    hub is one still while links only come. -#}
{% macro find_guarded_again(links, types, own) %}
    {%- do quanyu.create_work_table('counted', "
        select named.identifier_key, named.max_degree
        from " ~ quanyu.work_table('named_dirty') ~ " as named
        left join " ~ quanyu.work_table('known_dirty') ~ " as hubs
            on named.identifier_key = hubs.identifier_key and hubs.guard = 'hub'
        left join (
            select left_key as identifier_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
            union
            select right_key from " ~ quanyu.work_table('new_links') ~ " where not is_plain
        ) as loosened on named.identifier_key = loosened.identifier_key
        where named.joins_people and (hubs.identifier_key is null or loosened.identifier_key is not null)"
    ) -%}
    {#- Keys alone first: other conditions would be asked of all links there are. -#}
    {%- do quanyu.create_work_table('touching', "
        " ~ quanyu.touching_sql(links, 'left', 'right') ~ "
        union all
        " ~ quanyu.touching_sql(links, 'right', 'left')
    ) -%}
    {%- do quanyu.create_work_table('seen_with', "
        select links.identifier_key, links.other_key
        from " ~ quanyu.work_table('touching') ~ " as links
        where
            " ~ quanyu.holds(own) ~ "
            and links.link_kind not in ('split', 'override', 'probabilistic')
            and links.left_joins and links.right_joins"
    ) -%}
    {%- do quanyu.create_work_table('guarded', "
        with blocked as (
            " ~ quanyu.blocked_sql(quanyu.work_table('fresh_named'), types) ~ "
            union all
            select identifier_key, guard_detail
            from " ~ this ~ "
            where
                is_current and identifier_key in (
                    select identifier_key from " ~ quanyu.work_table('known_dirty') ~ " where guard = 'blocked'
                )
                and identifier_key not in (select identifier_key from " ~ quanyu.work_table('fresh_named') ~ ")
        ),
        crowded as (
            select identifier_key
            from " ~ quanyu.work_table('seen_with') ~ "
            group by identifier_key
            having count(*) > (select min(max_degree) from " ~ types ~ ")
        ),
        degrees as (
            select identifier_key, count(distinct other_key) as degree
            from " ~ quanyu.work_table('seen_with') ~ "
            where identifier_key in (select identifier_key from crowded)
            group by identifier_key
        ),
        hubs as (
            select degrees.identifier_key, counted.max_degree
            from degrees
            inner join " ~ quanyu.work_table('counted') ~ " as counted on degrees.identifier_key = counted.identifier_key
            where degrees.degree > counted.max_degree
            union all
            select named.identifier_key, named.max_degree
            from " ~ quanyu.work_table('named_dirty') ~ " as named
            inner join " ~ quanyu.work_table('known_dirty') ~ " as hubs
                on named.identifier_key = hubs.identifier_key and hubs.guard = 'hub'
            where named.identifier_key not in (select identifier_key from " ~ quanyu.work_table('counted') ~ ")
        )
        " ~ quanyu.guarded_sql()
    ) -%}
    {%- do quanyu.drop_work_tables(['counted', 'touching', 'seen_with']) -%}
{% endmacro %}


{#- Rows of `guarded` from the CTEs `blocked` and `hubs`. -#}
{% macro guarded_sql() -%}
    select identifier_key, 'blocked' as guard, min(reason) as guard_detail
    from blocked
    group by identifier_key
    union all
    select
        identifier_key, 'hub' as guard,
        concat('seen with more than ', cast(max_degree as {{ dbt.type_string() }}), ' others') as guard_detail
    from hubs
    where identifier_key not in (select identifier_key from blocked)
{%- endmacro %}


{#- (identifier_key, reason) of the identifiers in a relation that the block-list names, themselves or their hash. -#}
{% macro blocked_sql(named, types) -%}
    select named.identifier_key, blocked_keys.reason
    from {{ named }} as named
    inner join (
        {%- for digest in ['{}', 'md5({})', quanyu.sha256_hex('{}')] %}
        {{ 'union all' if not loop.first }}
        select
            {{ quanyu.hash63_of(['types.identifier_type', digest | replace('{}', 'lists.blocked')]) }} as identifier_key,
            lists.reason
        from {{ ref('identity_blocklist') }} as lists
        inner join {{ types }} as types
            on lists.identifier_type = '*' or lists.identifier_type = types.identifier_type
        where lists.match = 'value'
        {%- endfor %}
    ) as blocked_keys on named.identifier_key = blocked_keys.identifier_key
    where named.is_in_force
    union all
    select identifier_key, reason
    from (
        select
            named.identifier_key,
            {{ quanyu.blocking_pattern('named') }} as reason
        from {{ named }} as named
        where named.is_in_force
    ) as matched
    where reason is not null
{%- endmacro %}


{#- Pairs in `pairs`, from both sides. -#}
{% macro pairs_both_ways_sql() -%}
    select a as identifier_key from {{ quanyu.work_table('pairs') }}
    union all
    select b from {{ quanyu.work_table('pairs') }}
{%- endmacro %}

{#- Links of the identifiers in `counted`. -#}
{% macro touching_sql(links, one, other) -%}
    select
        links.{{ one }}_key as identifier_key, links.{{ other }}_key as other_key, links.link_kind, links.is_in_force,
        links.linked_at, links.left_joins, links.right_joins
    from {{ links }} as links
    where links.{{ one }}_key in (select identifier_key from {{ quanyu.work_table('counted') }})
{%- endmacro %}


{#- Reason of the first pattern of the block-list that an identifier matches, else NULL. The patterns are constants of
    the query: DuckDB compiles a pattern that comes out of a column once per row (50 s per million identifiers). -#}
{% macro blocking_pattern(row) -%}
    {%- set patterns = run_query(
        "select identifier_type, blocked, reason from " ~ ref('identity_blocklist')
        ~ " where match = 'pattern' order by identifier_type desc, blocked"
    ).rows -%}
    {%- if not patterns -%}
        cast(null as {{ dbt.type_string() }})
    {%- else -%}
        case
            {%- for pattern in patterns %}
            when
                {% if pattern[0] != '*' %}{{ row }}.identifier_type = '{{ pattern[0] }}' and {% endif -%}
                {{ quanyu.regexp_like(row ~ '.identifier_value', "'" ~ pattern[1] | replace("'", "''") ~ "'") }}
                then '{{ pattern[2] | replace("'", "''") }}'
            {%- endfor %}
        end
    {%- endif -%}
{%- endmacro %}


{#- `decided_links`: what somebody decided, few among many links. -#}
{% macro collect_decided_links(links) %}
    {%- do quanyu.create_work_table('decided_links', "
        select link_key, link_kind, left_key, right_key, left_joins, right_joins
        from " ~ links ~ "
        where is_in_force and link_kind in ('override', 'split')"
    ) -%}
{% endmacro %}


{#- Edges (a < b) among people's identifiers that no guard keeps apart, one per pair. -#}
{% macro joining_edges_sql(identifiers, links, own) -%}
    {%- if own.rebuild %}
    select
        a,
        b
    from {{ quanyu.work_table('pairs') }}
    where
        a not in (select identifier_key from {{ quanyu.work_table('guarded') }})
        and b not in (select identifier_key from {{ quanyu.work_table('guarded') }})
    {%- else %}
    select
        least(links.left_key, links.right_key) as a,
        greatest(links.left_key, links.right_key) as b
    from {{ links }} as links
    inner join {{ quanyu.work_table('people_in_scope') }} as left_scope on links.left_key = left_scope.identifier_key
    inner join {{ quanyu.work_table('people_in_scope') }} as right_scope on links.right_key = right_scope.identifier_key
    where
        {{ quanyu.holds(own) }}
        and links.left_joins
        and links.right_joins
        and links.link_kind not in ('split', 'override', 'probabilistic')
        and links.left_key not in (select identifier_key from {{ quanyu.work_table('guarded') }})
        and links.right_key not in (select identifier_key from {{ quanyu.work_table('guarded') }})
    {%- endif %}
    union all
    {#- Somebody may decide about identifiers that have not landed yet. #}
    select
        least(decided.left_key, decided.right_key) as a,
        greatest(decided.left_key, decided.right_key) as b
    from {{ quanyu.work_table('decided_links') }} as decided
    inner join {{ identifiers }} as left_named on decided.left_key = left_named.identifier_key and left_named.is_in_force
    inner join {{ identifiers }} as right_named
        on decided.right_key = right_named.identifier_key and right_named.is_in_force
    {%- if not own.rebuild %}
    inner join {{ quanyu.work_table('people_in_scope') }} as left_scope on decided.left_key = left_scope.identifier_key
    inner join {{ quanyu.work_table('people_in_scope') }} as right_scope on decided.right_key = right_scope.identifier_key
    {%- endif %}
    where
        decided.link_kind = 'override'
        and decided.left_joins
        and decided.right_joins
        and decided.left_key not in (select identifier_key from {{ quanyu.work_table('guarded') }})
        and decided.right_key not in (select identifier_key from {{ quanyu.work_table('guarded') }})
{%- endmacro %}


{#- `clusters`(identifier_key, component_key, cluster_key, guard, guard_detail, parted_by): people's identifiers that
    are linked, each with its component and with what is left of it when what cannot be one person has come apart.

    A component with two values of a single-valued kind (two member ids), or with both sides of a `split`, is parted:
    these values are its anchors; every other identifier goes to the anchor that is the fewest links away; one that
    is equally near to two anchors is contested and joins nobody. What is left above the size limit is not joined at
    all. Hashes stay with their plain value, and what an override links stays together. -#}
{% macro part_conflicts(identifiers, links, types) %}
    {%- set limit = var('max_identifiers_per_customer') | int -%}
    {%- set components = quanyu.work_table('components') -%}
    {%- do quanyu.create_work_table('exclusive', quanyu.exclusive_values_sql(identifiers, links, types)) -%}
    {%- set suspects = quanyu.create_counted_work_table('suspects', "
        select component from (
            select component from " ~ quanyu.work_table('exclusive') ~ "
            group by component, exclusive_in having count(*) > 1
            union
            select component from " ~ components ~ " group by component having count(*) > " ~ limit ~ "
        ) as found"
    ) -%}
    {%- if suspects == 0 -%}
        {%- do quanyu.create_work_table('clusters', "
            select
                id as identifier_key, component as component_key, component as cluster_key,
                cast(null as " ~ dbt.type_string() ~ ") as guard,
                cast(null as " ~ dbt.type_string() ~ ") as guard_detail,
                cast(null as " ~ dbt.type_string() ~ ") as parted_by
            from " ~ components
        ) -%}
    {%- else -%}
        {%- do quanyu.part_suspects(links, limit) -%}
    {%- endif -%}
{% endmacro %}


{#- (component, identifier_key, exclusive_in): two rows of one component and `exclusive_in` are two people. -#}
{% macro exclusive_values_sql(identifiers, links, types) -%}
    select distinct
        components.component,
        named.identifier_key,
        case types.values_per_person
            when 'one' then named.identifier_type
            when 'one_per_scope'
                then concat(named.identifier_type, ' of ', split_part(named.identifier_value, ':', 1))
            else concat(named.identifier_type, ' of ', memberships.brand_id)
        end as exclusive_in
    from {{ quanyu.work_table('components') }} as components
    inner join {{ identifiers }} as named on components.id = named.identifier_key
    inner join {{ types }} as types
        on named.identifier_type = types.identifier_type and types.values_per_person <> 'many'
    left join {{ ref('base_landing__memberships') }} as memberships
        on
            types.values_per_person = 'one_per_brand'
            and named.identifier_type = 'member_id'
            and named.identifier_value = memberships.member_id
            and memberships._fate = 'accepted'
    where types.values_per_person <> 'one_per_brand' or memberships.brand_id is not null
    union all
    select
        left_components.component,
        case ends.side when 'left' then decided.left_key else decided.right_key end as identifier_key,
        concat('split ', cast(decided.link_key as {{ dbt.type_string() }})) as exclusive_in
    from {{ quanyu.work_table('decided_links') }} as decided
    inner join {{ quanyu.work_table('components') }} as left_components on decided.left_key = left_components.id
    inner join {{ quanyu.work_table('components') }} as right_components
        on decided.right_key = right_components.id and left_components.component = right_components.component
    cross join (select 'left' as side union all select 'right' as side) as ends
    where decided.link_kind = 'split'
{%- endmacro %}


{#- Without their number: the rows of all of them would have to be written whenever one comes. -#}
{% macro too_large_detail() -%}
    more than {{ var('max_identifiers_per_customer') | int }} identifiers are linked
{%- endmacro %}


{% macro part_suspects(links, limit) %}
    {%- set w = namespace(open=1, near=1, pass_edges='') -%}
    {%- set text = dbt.type_string() -%}
    {#- Firm edges first: what they join is one unit from here on. -#}
    {%- do quanyu.create_work_table('suspect_edges', "
        select edges.a, edges.b
        from " ~ quanyu.work_table('edges') ~ " as edges
        inner join " ~ quanyu.work_table('components') ~ " as components on edges.a = components.id
        inner join " ~ quanyu.work_table('suspects') ~ " as suspects on components.component = suspects.component"
    ) -%}
    {%- do quanyu.create_work_table('firm_edges', "
        select edges.a, edges.b
        from " ~ quanyu.work_table('suspect_edges') ~ " as edges
        inner join (
            select least(left_key, right_key) as a, greatest(left_key, right_key) as b
            from " ~ links ~ "
            where is_in_force and link_kind in ('hash', 'override')
            group by least(left_key, right_key), greatest(left_key, right_key)
        ) as firm on edges.a = firm.a and edges.b = firm.b"
    ) -%}
    {%- do quanyu.connected_components('select a, b from ' ~ quanyu.work_table('firm_edges'), 'firm', 'firm') -%}
    {%- do quanyu.create_work_table('units', "
        select components.id as identifier_key, components.component, coalesce(firm.component, components.id) as unit
        from " ~ quanyu.work_table('components') ~ " as components
        inner join " ~ quanyu.work_table('suspects') ~ " as suspects on components.component = suspects.component
        left join " ~ quanyu.work_table('firm') ~ " as firm on components.id = firm.id"
    ) -%}
    {%- do quanyu.create_work_table('unit_values', "
        select distinct units.unit, exclusive.exclusive_in
        from " ~ quanyu.work_table('exclusive') ~ " as exclusive
        inner join " ~ quanyu.work_table('units') ~ " as units on exclusive.identifier_key = units.identifier_key"
    ) -%}
    {%- do quanyu.create_work_table('unit_edges', "
        select distinct
            least(left_units.unit, right_units.unit) as a, greatest(left_units.unit, right_units.unit) as b
        from " ~ quanyu.work_table('suspect_edges') ~ " as edges
        inner join " ~ quanyu.work_table('units') ~ " as left_units on edges.a = left_units.identifier_key
        inner join " ~ quanyu.work_table('units') ~ " as right_units on edges.b = right_units.identifier_key
        where left_units.unit <> right_units.unit"
    ) -%}
    {%- do quanyu.create_work_table('parts', "
        select distinct unit, component as part from " ~ quanyu.work_table('units')) -%}
    {%- do quanyu.create_work_table('contested', "
        select unit, cast(null as " ~ text ~ ") as exclusive_in from " ~ quanyu.work_table('parts') ~ " where 1 = 0"
    ) -%}
    {%- do quanyu.create_work_table('parted', "
        select unit, cast(null as " ~ text ~ ") as exclusive_in from " ~ quanyu.work_table('parts') ~ " where 1 = 0"
    ) -%}
    {#- One kind of conflict per component and pass; parting never makes a new conflict, so this ends. -#}
    {%- for pass in range(1, 200) -%}
    {%- if w.open > 0 -%}
        {%- set w.open = quanyu.create_counted_work_table('conflicts', "
            select part, min(exclusive_in) as exclusive_in from (
                select parts.part, unit_values.exclusive_in
                from " ~ quanyu.work_table('parts') ~ " as parts
                inner join " ~ quanyu.work_table('unit_values') ~ " as unit_values on parts.unit = unit_values.unit
                group by parts.part, unit_values.exclusive_in
                having count(*) > 1
            ) as found
            group by part"
        ) -%}
        {%- if w.open > 0 -%}
            {%- do quanyu.part_once() -%}
        {%- endif -%}
    {%- endif -%}
    {%- endfor -%}
    {%- if w.open > 0 -%}
        {{ exceptions.raise_compiler_error('resolve_identities: conflicts left after 199 passes') }}
    {%- endif -%}
    {%- do quanyu.create_work_table('part_sizes', "
        select parts.part, count(*) as identifiers
        from " ~ quanyu.work_table('parts') ~ " as parts
        inner join " ~ quanyu.work_table('units') ~ " as units on parts.unit = units.unit
        group by parts.part"
    ) -%}
    {%- do quanyu.create_work_table('clusters', "
        select
            components.id as identifier_key,
            components.component as component_key,
            case
                when units.unit is null then components.component
                when part_sizes.identifiers > " ~ limit ~ " then units.unit
                else parts.part
            end as cluster_key,
            case
                when contested.unit is not null then 'contested'
                when part_sizes.identifiers > " ~ limit ~ " then 'too_large'
            end as guard,
            case
                when contested.unit is not null then concat('equally near to two ', contested.exclusive_in)
                when part_sizes.identifiers > " ~ limit ~ " then '" ~ quanyu.too_large_detail() ~ "'
            end as guard_detail,
            parted.parted_by
        from " ~ quanyu.work_table('components') ~ " as components
        left join " ~ quanyu.work_table('units') ~ " as units on components.id = units.identifier_key
        left join " ~ quanyu.work_table('parts') ~ " as parts on units.unit = parts.unit
        left join " ~ quanyu.work_table('part_sizes') ~ " as part_sizes on parts.part = part_sizes.part
        left join (
            select unit, min(exclusive_in) as exclusive_in from " ~ quanyu.work_table('contested') ~ " group by unit
        ) as contested on units.unit = contested.unit
        left join (
            select unit, min(exclusive_in) as parted_by from " ~ quanyu.work_table('parted') ~ " group by unit
        ) as parted on units.unit = parted.unit"
    ) -%}
{% endmacro %}


{#- One pass over the parts in `conflicts`: breadth first from the anchors, then the edges that are left. -#}
{% macro part_once() %}
    {%- set w = namespace(found=1) -%}
    {%- do quanyu.create_work_table('members', "
        select parts.unit, parts.part, conflicts.exclusive_in
        from " ~ quanyu.work_table('parts') ~ " as parts
        inner join " ~ quanyu.work_table('conflicts') ~ " as conflicts on parts.part = conflicts.part"
    ) -%}
    {%- do quanyu.create_work_table('neighbours', "
        select edges.a as unit, edges.b as other from " ~ quanyu.work_table('unit_edges') ~ " as edges
        where edges.a in (select unit from " ~ quanyu.work_table('members') ~ ")
        union all
        select edges.b, edges.a from " ~ quanyu.work_table('unit_edges') ~ " as edges
        where edges.a in (select unit from " ~ quanyu.work_table('members') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('reached', "
        select members.unit, members.unit as anchor, 0 as distance
        from " ~ quanyu.work_table('members') ~ " as members
        inner join " ~ quanyu.work_table('unit_values') ~ " as unit_values
            on members.unit = unit_values.unit and members.exclusive_in = unit_values.exclusive_in"
    ) -%}
    {%- for distance in range(1, 100000) -%}
    {%- if w.found > 0 -%}
        {#- A contested unit has no anchor, so it passes none on. -#}
        {%- set w.found = quanyu.create_counted_work_table('next_reached', "
            select
                neighbours.unit,
                case when min(reached.anchor) = max(reached.anchor) then min(reached.anchor) end as anchor,
                " ~ distance ~ " as distance
            from " ~ quanyu.work_table('reached') ~ " as reached
            inner join " ~ quanyu.work_table('neighbours') ~ " as neighbours on reached.unit = neighbours.other
            where
                reached.distance = " ~ (distance - 1) ~ " and reached.anchor is not null
                and neighbours.unit not in (select unit from " ~ quanyu.work_table('reached') ~ ")
            group by neighbours.unit"
        ) -%}
        {%- if w.found > 0 -%}
            {%- do run_query('insert into ' ~ quanyu.work_table('reached') ~ ' select * from '
                ~ quanyu.work_table('next_reached')) -%}
        {%- endif -%}
    {%- endif -%}
    {%- endfor -%}
    {%- do run_query("
        insert into " ~ quanyu.work_table('contested') ~ "
        select members.unit, members.exclusive_in
        from " ~ quanyu.work_table('members') ~ " as members
        inner join " ~ quanyu.work_table('reached') ~ " as reached on members.unit = reached.unit
        where reached.anchor is null") -%}
    {%- do run_query("
        insert into " ~ quanyu.work_table('parted') ~ "
        select unit, exclusive_in from " ~ quanyu.work_table('members')) -%}
    {%- do quanyu.create_work_table('kept_edges', "
        select edges.a, edges.b
        from " ~ quanyu.work_table('unit_edges') ~ " as edges
        left join " ~ quanyu.work_table('members') ~ " as members on edges.a = members.unit
        left join " ~ quanyu.work_table('reached') ~ " as left_reached on edges.a = left_reached.unit
        left join " ~ quanyu.work_table('reached') ~ " as right_reached on edges.b = right_reached.unit
        where
            members.unit is null
            or left_reached.unit is null and right_reached.unit is null
            or left_reached.anchor = right_reached.anchor"
    ) -%}
    {%- do quanyu.create_work_table('unit_edges', 'select a, b from ' ~ quanyu.work_table('kept_edges')) -%}
    {%- do quanyu.connected_components('select a, b from ' ~ quanyu.work_table('unit_edges'), 'part_components', 'part') -%}
    {%- do quanyu.create_work_table('next_parts', "
        select parts.unit, coalesce(part_components.component, parts.unit) as part
        from " ~ quanyu.work_table('parts') ~ " as parts
        left join " ~ quanyu.work_table('part_components') ~ " as part_components on parts.unit = part_components.id"
    ) -%}
    {%- do quanyu.create_work_table('parts', 'select unit, part from ' ~ quanyu.work_table('next_parts')) -%}
{% endmacro %}


{#- `people`(identifier_key, component_key, customer_key, guard, guard_detail, parted_by): every identifier in scope
    that joins people, linked or not. -#}
{% macro name_customers(identifiers, types, own) %}
    {%- do quanyu.create_work_table('people_seen', "
        select
            named.identifier_key,
            named.first_seen_order,
            clusters.cluster_key,
            coalesce(clusters.component_key, named.identifier_key) as component_key,
            coalesce(guarded.guard, clusters.guard) as guard,
            coalesce(guarded.guard_detail, clusters.guard_detail) as guard_detail,
            clusters.parted_by
        from " ~ identifiers ~ " as named
        inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type and types.joins_people
        left join " ~ quanyu.work_table('clusters') ~ " as clusters on named.identifier_key = clusters.identifier_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded on named.identifier_key = guarded.identifier_key
        where
            named.is_in_force
            " ~ ("" if own.rebuild else "
            and named.identifier_key in (select identifier_key from " ~ quanyu.work_table('people_in_scope') ~ ")")
    ) -%}
    {%- do quanyu.create_work_table('first_nodes', "
        select people.cluster_key, min(people.identifier_key) as customer_key
        from " ~ quanyu.work_table('people_seen') ~ " as people
        inner join (
            select cluster_key, min(first_seen_order) as first_seen_order
            from " ~ quanyu.work_table('people_seen') ~ "
            where cluster_key is not null
            group by cluster_key
        ) as first_orders
            on people.cluster_key = first_orders.cluster_key
            and people.first_seen_order = first_orders.first_seen_order
        group by people.cluster_key"
    ) -%}
    {%- do quanyu.create_work_table('people', "
        select
            people.identifier_key, people.component_key,
            coalesce(first_nodes.customer_key, people.identifier_key) as customer_key,
            people.guard, people.guard_detail, people.parted_by
        from " ~ quanyu.work_table('people_seen') ~ " as people
        left join " ~ quanyu.work_table('first_nodes') ~ " as first_nodes on people.cluster_key = first_nodes.cluster_key"
    ) -%}
    {%- do quanyu.drop_work_tables(['edges', 'components', 'exclusive', 'clusters', 'people_seen', 'first_nodes']) -%}
{% endmacro %}

{% macro no_people() %}
    {%- set text = dbt.type_string() -%}
    {%- do quanyu.create_work_table('people', "
        select
            identifier_key, component_key, customer_key, cast(null as " ~ text ~ ") as guard,
            cast(null as " ~ text ~ ") as guard_detail, cast(null as " ~ text ~ ") as parted_by
        from " ~ this ~ "
        where 1 = 0"
    ) -%}
{% endmacro %}


{#- `device_spells`(identifier_key, customer_key, valid_from, valid_to): whose a device is, and when. The person
    linked last at or before an event has it, else the first one after: the first spell is open to the past. A link to
    an identifier that stands for nobody says nothing. -#}
{% macro attach_devices(identifiers, links, types, own) %}
    {%- do quanyu.create_work_table('device_links', "
        " ~ quanyu.device_links_sql(links, own, 'left', 'right') ~ "
        union all
        " ~ quanyu.device_links_sql(links, own, 'right', 'left')
    ) -%}
    {%- set known_people = "select identifier_key, customer_key, guard from " ~ quanyu.work_table('people') -%}
    {%- if not own.rebuild -%}
        {%- set known_people = known_people ~ "
            union all
            select identifier_key, customer_key, guard from " ~ quanyu.work_table('plain_moved') ~ "
            union all
            select known.identifier_key, known.customer_key, known.guard
            from " ~ this ~ " as known
            where
                known.identifier_key in (select person_key from " ~ quanyu.work_table('device_links') ~ ")
                and known.identifier_key not in (select identifier_key from " ~ quanyu.work_table('people') ~ ")
                and known.identifier_key not in (select identifier_key from " ~ quanyu.work_table('plain_moved') ~ ")" -%}
    {%- endif -%}
    {%- do quanyu.create_work_table('device_spells', "
        with turns as (
            select device_links.device_key, device_links.linked_at, min(known_people.customer_key) as customer_key
            from " ~ quanyu.work_table('device_links') ~ " as device_links
            inner join (" ~ known_people ~ ") as known_people
                on device_links.person_key = known_people.identifier_key
            where coalesce(known_people.guard, 'none') not in ('blocked', 'hub', 'contested')
            group by device_links.device_key, device_links.linked_at
        ),
        changes as (
            select
                *,
                lag(customer_key) over (
                    partition by device_key order by linked_at asc nulls first
                ) as previous_customer_key
            from turns
        ),
        starts as (
            select * from changes where previous_customer_key is null or previous_customer_key <> customer_key
        )
        select
            device_key as identifier_key,
            customer_key,
            case when previous_customer_key is not null then linked_at end as valid_from,
            lead(linked_at) over (partition by device_key order by linked_at asc nulls first) as valid_to
        from starts"
    ) -%}
{% endmacro %}


{#- Links in force between a device and a person's identifier, of the devices to resolve again. -#}
{% macro device_links_sql(links, own, device, person) -%}
    select
        links.{{ device }}_key as device_key,
        links.{{ person }}_key as person_key,
        links.linked_at
    from {{ links }} as links
    where
        {{ quanyu.holds(own) }}
        and links.link_kind = 'record'
        and not links.{{ device }}_joins
        and links.{{ person }}_joins
        and links.{{ device }}_key not in (select identifier_key from {{ quanyu.work_table('guarded') }})
        {%- if not own.rebuild %}
        and links.{{ device }}_key in (select identifier_key from {{ quanyu.work_table('scope') }})
        {%- endif %}
{%- endmacro %}


{#- `owners`, and what of them is new. Texts follow from keys, so that keys alone are compared, and texts are looked up
    for the rows that differ. -#}
{% macro collect_owners(identifiers, types, own, again) %}
    {%- set text, moment = dbt.type_string(), quanyu.type_local_timestamp() -%}
    {%- set kept = 'identifier_key, customer_key, is_anonymous_visitor, component_key, guard, guard_detail, parted_by, '
        ~ 'valid_from, valid_to' -%}
    {%- set owning = 'identifier_key, customer_key, is_anonymous_visitor, valid_from, valid_to' -%}
    {%- do quanyu.create_work_table('owners', "
        select
            identifier_key, customer_key, component_key, guard, guard_detail, parted_by,
            cast(null as " ~ moment ~ ") as valid_from,
            cast(null as " ~ moment ~ ") as valid_to,
            coalesce(guard in ('blocked', 'hub', 'contested'), false) as is_anonymous_visitor
        from " ~ quanyu.work_table('people') ~ ("
        union all
        select
            named.identifier_key,
            coalesce(device_spells.customer_key, named.identifier_key) as customer_key,
            named.identifier_key as component_key,
            guarded.guard,
            guarded.guard_detail,
            cast(null as " ~ text ~ ") as parted_by,
            device_spells.valid_from,
            device_spells.valid_to,
            device_spells.customer_key is null as is_anonymous_visitor
        from " ~ identifiers ~ " as named
        inner join " ~ types ~ " as types
            on named.identifier_type = types.identifier_type and not types.joins_people
        left join " ~ quanyu.work_table('device_spells') ~ " as device_spells
            on named.identifier_key = device_spells.identifier_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded
            on named.identifier_key = guarded.identifier_key
        where
            named.is_in_force
            " ~ ("" if own.rebuild else "
            and named.identifier_key in (select identifier_key from " ~ quanyu.work_table('scope') ~ ")") if again.all else "")
    ) -%}
    {%- set now, names = quanyu.work_table('owners'), identifiers -%}
    {%- set differs = 'identifier_key in (select identifier_key from ' ~ quanyu.work_table('changed_identifiers') ~ ')' -%}
    {%- if own.known -%}
        {%- do quanyu.create_work_table('was_owned', "
            select " ~ kept ~ "
            from " ~ this ~ "
            " ~ ("" if own.rebuild else
            "where identifier_key in (select identifier_key from " ~ quanyu.work_table('scope') ~ ")")
        ) -%}
        {%- set before = quanyu.work_table('was_owned') -%}
        {%- do quanyu.create_work_table('changed_identifiers', "
            select identifier_key from (" ~ quanyu.differing_sql(kept, now, before) ~ ") as differing
            group by identifier_key
            " ~ (quanyu.renamed_sql(identifiers, now) if own.rebuild else "")
        ) -%}
        {%- do quanyu.create_work_table('changed_customers', "
            with changed as (
                select customer_key from (" ~ quanyu.differing_sql(owning, now, before) ~ ") as differing
                " ~ ("" if own.rebuild else quanyu.plainly_changed_sql()) ~ "
            )
            select customer_key, max(has_changed) = 1 as has_changed
            from (
                select customer_key, 1 as has_changed from changed
                union all
                select customer_key, 0 from " ~ now ~ "
                union all
                select customer_key, 0 from " ~ before ~ "
                " ~ ("" if own.rebuild else "
                union all
                select customer_key, 0 from " ~ quanyu.work_table('plain_customers')) ~ "
            ) as concerned
            group by customer_key"
        ) -%}
        {#- One pass over the texts of all identifiers. -#}
        {%- do quanyu.create_work_table('owner_names', "
            select identifier_key, identifier_type, identifier_value
            from " ~ identifiers ~ "
            where identifier_key in (
                select identifier_key from " ~ now ~ " where " ~ differs ~ "
                union
                select customer_key from " ~ now ~ " where " ~ differs ~ "
            )"
        ) -%}
        {%- set names = quanyu.work_table('owner_names') -%}
        {%- if own.rebuild -%}
            {%- do quanyu.no_plain_rows() -%}
        {%- else -%}
            {%- do quanyu.add_plain_identifiers() -%}
        {%- endif -%}
    {%- endif -%}
    {%- do quanyu.create_work_table('customer_ids', "
        select
            identifier_key as customer_key,
            " ~ quanyu.public_customer_id('identifier_type', 'identifier_value') ~ " as customer_id
        from " ~ names ~ "
        where identifier_key in (select customer_key from " ~ now ~ (" where " ~ differs if own.known else "") ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('resolution_state', "
        select
            cast('" ~ (own.as_of or '9999-12-31') ~ "' as date) as as_of_date,
            '" ~ own.settings ~ "' as _settings,
            cast(" ~ quanyu.refresh_number() ~ " as bigint) as _refresh"
    ) -%}
    {%- do quanyu.drop_work_tables(['people', 'device_links', 'device_spells', 'was_owned', 'scope', 'people_in_scope']) -%}
{% endmacro %}


{#- Rows of one of two relations that the other does not have; neither repeats a row. -#}
{% macro differing_sql(columns, now, before) -%}
    select {{ columns }}
    from (
        select {{ columns }}, 1 as side from {{ now }}
        union all
        select {{ columns }}, -1 as side from {{ before }}
    ) as both_sides
    group by {{ columns }}
    having sum(side) <> 0
{%- endmacro %}


{#- Identifiers whose customer has another public id, as after a change of the salt; and one, so that the settings under
    which everything was resolved again are noted. -#}
{% macro renamed_sql(identifiers, now) -%}
    union
    select min(identifier_key) from {{ now }}
    union
    select known.identifier_key
    from {{ this }} as known
    inner join {{ identifiers }} as first_named on known.customer_key = first_named.identifier_key
    where known.customer_id <> {{ quanyu.public_customer_id('first_named.identifier_type', 'first_named.identifier_value') }}
{%- endmacro %}
