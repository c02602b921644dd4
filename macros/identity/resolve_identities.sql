{#- Who is who. A pre-hook of int_identity__resolution: computes, in work tables of that model's connection,

      resolved              the rows of the model for every identifier that had to be resolved again
      changed_identifiers   identifiers whose rows differ from what the model holds
      changed_customers     customers that were resolved again, and whether their identifiers or times changed

    The rows are a pure function of identifiers, links, seeds, vars and the as-of date. A refresh works on the
    components, as they were, of every identifier whose rows, links or guards have changed, together with every
    identifier that is new; that set is closed under links. Where links only came and no guard speaks, components are
    joined whole (merge_plain_components); all others are resolved again from their links by the code of a rebuild.
    Either way the result equals a rebuild. docs/identity.md walks through the steps. -#}
{% macro resolve_identities() %}
{%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set identifiers = ref('int_identity__identifiers') -%}
    {%- set links = ref('int_identity__links') -%}
    {%- set types = ref('identifier_types') -%}
    {%- set own = quanyu.own_resolution_state() -%}

    {#- 1. What has to be resolved again: `scope`. In a rebuild everything, so that the table is not made. -#}
    {%- if not own.rebuild -%}
        {%- do quanyu.find_scope(identifiers, links, types, own) -%}
    {%- else -%}
        {%- do quanyu.find_guarded(identifiers, links, types, own, none) -%}
    {%- endif -%}

    {%- do quanyu.collect_decided_links(links) -%}

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
    {%- do quanyu.attach_devices(identifiers, links, types, own) -%}
    {%- do quanyu.collect_resolved(identifiers, types, own) -%}
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
        'select identifier_type, joins_people, values_per_person, max_degree from ' ~ ref('identifier_types')
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


{#- `people_in_scope`: people's identifiers to resolve again from their links; `plain_people`: those whose component only
    went into another one; `scope`: both, and devices; `guarded`: those that a guard keeps from joining. -#}
{% macro find_scope(identifiers, links, types, own) %}
    {%- set became_visible -%}
        cast(links.linked_at as date) > least(date '{{ own.as_of or '9999-12-31' }}', date '{{ own.was_as_of or '9999-12-31' }}')
        and cast(links.linked_at as date)
            <= greatest(date '{{ own.as_of or '9999-12-31' }}', date '{{ own.was_as_of or '9999-12-31' }}')
    {%- endset -%}
    {%- do quanyu.create_work_table('dirty', "
        select identifier_key from " ~ identifiers ~ " where _refresh > " ~ own.refresh ~ "
        union
        select left_key from " ~ links ~ " as links where _refresh > " ~ own.refresh ~ " or (" ~ became_visible ~ ")
        union
        select right_key from " ~ links ~ " as links where _refresh > " ~ own.refresh ~ " or (" ~ became_visible ~ ")
        union
        select " ~ quanyu.member_key() ~ " from " ~ ref('base_landing__memberships') ~ "
        where _refresh > " ~ own.refresh ~ " and _reasons is null"
    ) -%}
    {%- do quanyu.find_guarded(identifiers, links, types, own, 'dirty') -%}
    {%- do quanyu.find_careful(identifiers, links, types, own, became_visible) -%}
    {%- do quanyu.merge_plain_components(identifiers, links, types, own, became_visible) -%}
    {%- do quanyu.create_work_table('people_in_scope', "
        with components as (
            select distinct known.component_key
            from " ~ this ~ " as known
            inner join " ~ quanyu.work_table('near') ~ " as near on known.identifier_key = near.identifier_key
        )
        select identifier_key from " ~ quanyu.work_table('near') ~ "
        union
        select known.identifier_key
        from " ~ this ~ " as known
        inner join components on known.component_key = components.component_key"
    ) -%}
    {#- Devices follow the people they are linked to. -#}
    {%- do quanyu.create_work_table('scope', "
        with moved as (
            select identifier_key from " ~ quanyu.work_table('people_in_scope') ~ "
            union
            select identifier_key from " ~ quanyu.work_table('plain_people') ~ "
        )
        select identifier_key from moved
        union
        select left_key from " ~ links ~ "
        where is_in_force and not left_joins and right_key in (select identifier_key from moved)
        union
        select right_key from " ~ links ~ "
        where is_in_force and not right_joins and left_key in (select identifier_key from moved)"
    ) -%}
    {#- Those of the scope that did not change keep the guard they had. -#}
    {%- do quanyu.create_work_table('guarded_in_scope', "
        select identifier_key, guard, guard_detail from " ~ quanyu.work_table('guarded') ~ "
        union all
        select known.identifier_key, known.guard, known.guard_detail
        from " ~ this ~ " as known
        inner join " ~ quanyu.work_table('scope') ~ " as scope on known.identifier_key = scope.identifier_key
        where
            known.is_current and known.guard in ('blocked', 'hub')
            and known.identifier_key not in (select identifier_key from " ~ quanyu.work_table('dirty') ~ ")"
    ) -%}
    {%- do quanyu.create_work_table('guarded', 'select * from ' ~ quanyu.work_table('guarded_in_scope')) -%}
{% endmacro %}


{#- `guarded`(identifier_key, guard, guard_detail): identifiers that stand for nobody in particular: on the block-list,
    or seen with more other identifiers than their type allows. `within`: a work table, or none for all. -#}
{% macro find_guarded(identifiers, links, types, own, within) %}
    {%- set among = 'in (select identifier_key from ' ~ quanyu.work_table(within) ~ ')' if within else 'is not null' -%}
    {%- set named = identifiers -%}
    {%- if within -%}
        {#- First, or the optimiser tries every pattern on every identifier there is. -#}
        {%- do quanyu.create_work_table('named_within', "
            select identifier_key, identifier_type, identifier_value, is_in_force
            from " ~ identifiers ~ "
            where is_in_force and identifier_key " ~ among
        ) -%}
        {%- set named = quanyu.work_table('named_within') -%}
    {%- else -%}
        {%- do quanyu.create_work_table('pairs', "
            select distinct
                least(links.left_key, links.right_key) as a, greatest(links.left_key, links.right_key) as b
            from " ~ links ~ " as links
            where " ~ quanyu.holds(own) ~ " and links.left_joins and links.right_joins
                and links.link_kind not in ('split', 'override', 'probabilistic')"
        ) -%}
    {%- endif -%}
    {%- do quanyu.create_work_table('guarded', "
        with listed as (
            select
                types.identifier_type, lists.match, lists.blocked, lists.reason,
                " ~ quanyu.hash63_of(['types.identifier_type', 'lists.blocked']) ~ " as blocked_key,
                " ~ quanyu.hash63_of(['types.identifier_type', 'md5(lists.blocked)']) ~ " as blocked_md5_key,
                " ~ quanyu.hash63_of(['types.identifier_type', quanyu.sha256_hex('lists.blocked')]) ~ " as blocked_sha256_key
            from " ~ ref('identity_blocklist') ~ " as lists
            inner join " ~ types ~ " as types
                on lists.identifier_type = '*' or lists.identifier_type = types.identifier_type
        ),
        blocked_keys as (
            select blocked_key as identifier_key, reason from listed where match = 'value'
            union all select blocked_md5_key, reason from listed where match = 'value'
            union all select blocked_sha256_key, reason from listed where match = 'value'
        ),
        blocked as (
            select named.identifier_key, blocked_keys.reason
            from " ~ named ~ " as named
            inner join blocked_keys on named.identifier_key = blocked_keys.identifier_key
            where named.is_in_force
            union all
            select identifier_key, reason
            from (
                select
                    named.identifier_key,
                    " ~ quanyu.blocking_pattern('named') ~ " as reason
                from " ~ named ~ " as named
                where named.is_in_force
            ) as matched
            where reason is not null
        ),
        pairs as (
            " ~ (quanyu.pairs_within_sql(links, own, among) if within else quanyu.pairs_both_ways_sql()) ~ "
        ),
        degrees as (
            select identifier_key, count(*) as degree
            from pairs
            group by identifier_key
            having count(*) > (select min(max_degree) from " ~ types ~ ")
        ),
        hubs as (
            select degrees.identifier_key, degrees.degree, types.max_degree
            from degrees
            inner join " ~ identifiers ~ " as named on degrees.identifier_key = named.identifier_key
            inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type
            where degrees.degree > types.max_degree
        )
        select identifier_key, 'blocked' as guard, min(reason) as guard_detail
        from blocked
        group by identifier_key
        union all
        select
            identifier_key, 'hub' as guard,
            concat('seen with ', cast(degree as " ~ dbt.type_string() ~ "), ' others, limit ',
                   cast(max_degree as " ~ dbt.type_string() ~ ")) as guard_detail
        from hubs
        where identifier_key not in (select identifier_key from blocked)"
    ) -%}
{% endmacro %}


{#- Pairs in `pairs`, from both sides. -#}
{% macro pairs_both_ways_sql() -%}
    select a as identifier_key from {{ quanyu.work_table('pairs') }}
    union all
    select b from {{ quanyu.work_table('pairs') }}
{%- endmacro %}

{#- Distinct neighbours of the identifiers `among` some. -#}
{% macro pairs_within_sql(links, own, among) -%}
    {%- for one, other in [('left', 'right'), ('right', 'left')] %}
    select links.{{ one }}_key as identifier_key, links.{{ other }}_key as other_key
    from {{ links }} as links
    where
        {{ quanyu.holds(own) }}
        and links.link_kind not in ('split', 'override', 'probabilistic')
        and links.left_joins and links.right_joins
        and links.{{ one }}_key {{ among }}
    {{ 'union' if not loop.last }}
    {%- endfor %}
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
    {%- do quanyu.create_work_table('suspects', "
        select component from (
            select component from " ~ quanyu.work_table('exclusive') ~ "
            group by component, exclusive_in having count(*) > 1
            union
            select component from " ~ components ~ " group by component having count(*) > " ~ limit ~ "
        ) as found"
    ) -%}
    {%- if quanyu.scalar('select count(*) from ' ~ quanyu.work_table('suspects')) | int == 0 -%}
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
    {%- do quanyu.connected_components("
        select edges.a, edges.b
        from " ~ quanyu.work_table('suspect_edges') ~ " as edges
        inner join (
            select least(left_key, right_key) as a, greatest(left_key, right_key) as b
            from " ~ links ~ "
            where is_in_force and link_kind in ('hash', 'override')
            group by least(left_key, right_key), greatest(left_key, right_key)
        ) as firm on edges.a = firm.a and edges.b = firm.b", 'firm', 'firm') -%}
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
        {%- do quanyu.create_work_table('conflicts', "
            select part, min(exclusive_in) as exclusive_in from (
                select parts.part, unit_values.exclusive_in
                from " ~ quanyu.work_table('parts') ~ " as parts
                inner join " ~ quanyu.work_table('unit_values') ~ " as unit_values on parts.unit = unit_values.unit
                group by parts.part, unit_values.exclusive_in
                having count(*) > 1
            ) as found
            group by part"
        ) -%}
        {%- set w.open = quanyu.scalar('select count(*) from ' ~ quanyu.work_table('conflicts')) | int -%}
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
                when part_sizes.identifiers > " ~ limit ~ "
                    then concat('among ', cast(part_sizes.identifiers as " ~ text ~ "), ' identifiers, limit " ~ limit ~ "')
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
        {%- do quanyu.create_work_table('next_reached', "
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
        {%- set w.found = quanyu.scalar('select count(*) from ' ~ quanyu.work_table('next_reached')) | int -%}
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
    {%- do quanyu.create_work_table('first_nodes', "
        with nodes as (
            select clusters.cluster_key, clusters.identifier_key, named.first_seen_order
            from " ~ quanyu.work_table('clusters') ~ " as clusters
            inner join " ~ identifiers ~ " as named on clusters.identifier_key = named.identifier_key
        ),
        first_orders as (
            select cluster_key, min(first_seen_order) as first_seen_order from nodes group by cluster_key
        )
        select nodes.cluster_key, min(nodes.identifier_key) as customer_key
        from nodes
        inner join first_orders
            on nodes.cluster_key = first_orders.cluster_key
            and nodes.first_seen_order = first_orders.first_seen_order
        group by nodes.cluster_key"
    ) -%}
    {%- do quanyu.create_work_table('people', "
        select
            named.identifier_key,
            coalesce(clusters.component_key, named.identifier_key) as component_key,
            coalesce(first_nodes.customer_key, named.identifier_key) as customer_key,
            coalesce(guarded.guard, clusters.guard) as guard,
            coalesce(guarded.guard_detail, clusters.guard_detail) as guard_detail,
            clusters.parted_by
        from " ~ identifiers ~ " as named
        inner join " ~ types ~ " as types on named.identifier_type = types.identifier_type and types.joins_people
        " ~ ("" if own.rebuild else "inner join " ~ quanyu.work_table('people_in_scope')
            ~ " as scope on named.identifier_key = scope.identifier_key") ~ "
        left join " ~ quanyu.work_table('clusters') ~ " as clusters on named.identifier_key = clusters.identifier_key
        left join " ~ quanyu.work_table('first_nodes') ~ " as first_nodes
            on clusters.cluster_key = first_nodes.cluster_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded on named.identifier_key = guarded.identifier_key
        where named.is_in_force
        " ~ ("" if own.rebuild else "
        union all
        select
            identifier_key, component_key, customer_key,
            cast(null as " ~ dbt.type_string() ~ "), cast(null as " ~ dbt.type_string() ~ "),
            cast(null as " ~ dbt.type_string() ~ ")
        from " ~ quanyu.work_table('plain_people'))
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
    {%- if own.known -%}
        {%- set known_people = known_people ~ "
            union all
            select known.identifier_key, known.customer_key, known.guard
            from " ~ this ~ " as known
            where
                known.identifier_key in (select person_key from " ~ quanyu.work_table('device_links') ~ ")
                and known.identifier_key not in (select identifier_key from " ~ quanyu.work_table('people') ~ ")" -%}
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


{#- What is new of everything in scope, and `resolved`: its rows of int_identity__resolution. Texts follow from keys, so
    that keys alone are compared, and texts are looked up for the rows that differ. -#}
{% macro collect_resolved(identifiers, types, own) %}
    {%- set kept = 'identifier_key, customer_key, is_anonymous_visitor, component_key, guard, guard_detail, parted_by, '
        ~ 'valid_from, valid_to' -%}
    {%- set owning = 'identifier_key, customer_key, is_anonymous_visitor, valid_from, valid_to' -%}
    {%- do quanyu.create_work_table('owners', "
        select
            identifier_key, customer_key, component_key, guard, guard_detail, parted_by,
            cast(null as " ~ quanyu.type_local_timestamp() ~ ") as valid_from,
            cast(null as " ~ quanyu.type_local_timestamp() ~ ") as valid_to,
            coalesce(guard in ('blocked', 'hub', 'contested'), false) as is_anonymous_visitor
        from " ~ quanyu.work_table('people') ~ "
        union all
        select
            named.identifier_key,
            coalesce(device_spells.customer_key, named.identifier_key) as customer_key,
            named.identifier_key as component_key,
            guarded.guard,
            guarded.guard_detail,
            cast(null as " ~ dbt.type_string() ~ ") as parted_by,
            device_spells.valid_from,
            device_spells.valid_to,
            device_spells.customer_key is null as is_anonymous_visitor
        from " ~ identifiers ~ " as named
        inner join " ~ types ~ " as types
            on named.identifier_type = types.identifier_type and not types.joins_people
        " ~ ("" if own.rebuild else "inner join " ~ quanyu.work_table('scope')
            ~ " as scope on named.identifier_key = scope.identifier_key") ~ "
        left join " ~ quanyu.work_table('device_spells') ~ " as device_spells
            on named.identifier_key = device_spells.identifier_key
        left join " ~ quanyu.work_table('guarded') ~ " as guarded
            on named.identifier_key = guarded.identifier_key
        where named.is_in_force"
    ) -%}
    {%- set now, names = quanyu.work_table('owners'), identifiers -%}
    {%- set differs = 'identifier_key in (select identifier_key from ' ~ quanyu.work_table('changed_identifiers') ~ ')' -%}
    {%- if own.known -%}
        {%- do quanyu.create_work_table('was_owned', "
            select known." ~ kept | replace(', ', ', known.') ~ "
            from " ~ this ~ " as known
            " ~ ("" if own.rebuild else "inner join " ~ quanyu.work_table('scope')
                ~ " as scope on known.identifier_key = scope.identifier_key")
        ) -%}
        {%- set before = quanyu.work_table('was_owned') -%}
        {%- do quanyu.create_work_table('changed_identifiers', "
            select identifier_key from (" ~ quanyu.differing_sql(kept, now, before) ~ ") as differing
            group by identifier_key
            " ~ (quanyu.renamed_sql(identifiers, now) if own.rebuild else "")
        ) -%}
        {%- do quanyu.create_work_table('changed_customers', "
            with changed as (
                select distinct customer_key from (" ~ quanyu.differing_sql(owning, now, before) ~ ") as differing
            )
            select
                concerned.customer_key,
                changed.customer_key is not null as has_changed
            from (
                select customer_key from " ~ now ~ "
                union
                select customer_key from " ~ before ~ "
                " ~ ("" if own.rebuild else "union select customer_key from " ~ quanyu.work_table('plain_customers')) ~ "
            ) as concerned
            left join changed on concerned.customer_key = changed.customer_key"
        ) -%}
        {#- One pass over the texts of all identifiers. -#}
        {%- do quanyu.create_work_table('resolved_names', "
            select identifier_key, identifier_type, identifier_value
            from " ~ identifiers ~ "
            where identifier_key in (
                select identifier_key from " ~ now ~ " where " ~ differs ~ "
                union
                select customer_key from " ~ now ~ " where " ~ differs ~ "
            )"
        ) -%}
        {%- set names = quanyu.work_table('resolved_names') -%}
    {%- endif -%}
    {%- do quanyu.create_work_table('resolved', "
        select
            owners.identifier_key,
            named.identifier_type,
            named.identifier_value,
            owners.customer_key,
            " ~ quanyu.public_customer_id('first_named.identifier_type', 'first_named.identifier_value') ~ " as customer_id,
            owners.is_anonymous_visitor,
            owners.component_key,
            owners.guard,
            owners.guard_detail,
            owners.parted_by,
            owners.valid_from,
            owners.valid_to,
            owners.valid_to is null as is_current,
            cast('" ~ (own.as_of or '9999-12-31') ~ "' as date) as as_of_date,
            '" ~ own.settings ~ "' as _settings,
            cast(" ~ quanyu.refresh_number() ~ " as bigint) as _refresh
        from " ~ now ~ " as owners
        inner join " ~ names ~ " as named on owners.identifier_key = named.identifier_key
        inner join " ~ names ~ " as first_named on owners.customer_key = first_named.identifier_key
        " ~ ("where owners." ~ differs if own.known else "")
    ) -%}
    {%- do quanyu.drop_work_tables([
        'edges', 'components', 'exclusive', 'clusters', 'first_nodes', 'people', 'device_links', 'owners', 'was_owned',
        'resolved_names',
    ]) -%}
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
