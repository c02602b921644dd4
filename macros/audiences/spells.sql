{#- Interval algebra of tags and audiences. Everything a rule can ask is a set of weighted half-open day spells per
    customer: +weight on the first day, -weight on the first day on which it no longer counts. A rule holds while the
    running sum stands where the rule wants it, so a window that runs out, AND, OR and NOT are all one sweep over turning
    days, and nobody needs a row per customer and day. Days are whole numbers (macros/engine/days.sql); the end of a spell
    that does not end is far_day. -#}

{#- Query: spells (keys, from_day, to_day) in which `holds`, an SQL condition on {total}, the keys and what `join` brings, is
    true, of the rows (keys, from_day, to_day, weight) of a relation. Spells of one key neither overlap nor touch.

    On 10 million touch-points this sorts some 20 million turns: the keys are short, the limits are joined after the sum, and
    what held before a day is read off the sum without the day's own change instead of a second window. -#}
{% macro spells_where(rows, keys, holds, join='') -%}
    {%- set key = keys | join(', ') -%}
    select
        {{ key }},
        day as from_day,
        next_day as to_day
    from (
        select
            {{ key }},
            day,
            lead(day, 1, {{ quanyu.far_day() }}) over (partition by {{ key }} order by day) as next_day,
            holds
        from (
            select
                {% for k in keys %}totals.{{ k }}, {% endfor -%}
                totals.day,
                ({{ holds | replace('{total}', 'totals.total') }}) as holds,
                ({{ holds | replace('{total}', '(totals.total - totals.change)') }}) as held_before
            from (
                select
                    {{ key }},
                    day,
                    change,
                    sum(change) over (
                        partition by {{ key }} order by day rows between unbounded preceding and current row
                    ) as total
                from (
                    select
                        {{ key }},
                        day,
                        sum(change) as change
                    from (
                        select
                            {% for k in keys %}spells.{{ k }}, {% endfor -%}
                            case when ends.side = 1 then spells.from_day else spells.to_day end as day,
                            spells.weight * ends.side as change
                        from {{ rows }} as spells
                        cross join (select 1 as side union all select -1 as side) as ends
                    ) as turns
                    where day < {{ quanyu.far_day() }}
                    group by {{ key }}, day
                ) as changes
            ) as totals
            {{ join }}
        ) as judged
        where holds <> held_before
    ) as changed
    where holds
{%- endmacro %}


{#- Query: the union of the spells (keys, from_day, to_day) of a relation, as spells that neither overlap nor touch. The same as
    spells_where with a sum of at least 1, for half of its work: a spell begins where all before it have ended. -#}
{% macro union_of_spells(rows, keys) -%}
    {%- set key = keys | join(', ') -%}
    select
        {{ key }},
        from_day,
        coalesce(lead(ended_before) over (partition by {{ key }} order by from_day), last_day) as to_day
    from (
        select
            {{ key }},
            from_day,
            max(to_day) over (
                partition by {{ key }} order by from_day rows between unbounded preceding and 1 preceding
            ) as ended_before,
            max(to_day) over (partition by {{ key }}) as last_day
        from {{ rows }}
    ) as compared
    where ended_before is null or ended_before < from_day
{%- endmacro %}


{#- CTEs ending in `owner_spells` (owner, owner_value, brand_id, customer_key, from_day, to_day): when the rules of an owner
    (a tag with its value, an audience) hold. `uses` holds the conditions of each owner (int_audiences__conditions),
    `spells` when each condition holds (condition_id, brand_id, customer_key, fact_value, from_day, to_day).

    A group holds while all of its plain conditions and none of its negated ones hold: the sum of +1 and -1 reaches the
    number of plain ones then and only then. An owner holds while any group does. A group of one condition is that
    condition, and an owner of one group is that group; neither is swept. -#}
{% macro owner_spells(uses, spells) -%}
    rule_groups as (
        select distinct
            group_number,
            owner,
            owner_groups,
            plain_conditions
        from {{ uses }}
    ),

    used_spells as (
        select
            uses.group_number,
            uses.owner,
            case when uses.owner_value = '*' then spells.fact_value else uses.owner_value end as owner_value,
            uses.group_conditions,
            uses.owner_groups,
            spells.brand_id,
            spells.customer_key,
            spells.from_day,
            spells.to_day,
            case when uses.is_not then -1 else 1 end as weight
        from {{ uses }} as uses
        inner join {{ spells }} as spells on uses.condition_id = spells.condition_id
    ),

    several_conditions as (
        select * from used_spells
        where group_conditions > 1
    ),

    group_spells as (
        select
            owner,
            owner_value,
            owner_groups,
            brand_id,
            customer_key,
            from_day,
            to_day
        from used_spells
        where group_conditions = 1
        union all
        select
            rule_groups.owner,
            swept.owner_value,
            rule_groups.owner_groups,
            swept.brand_id,
            swept.customer_key,
            swept.from_day,
            swept.to_day
        from (
            {{ quanyu.spells_where(
                'several_conditions', ['group_number', 'owner_value', 'brand_id', 'customer_key'],
                '{total} = rule_groups.plain_conditions',
                join='inner join rule_groups on totals.group_number = rule_groups.group_number',
            ) | indent(12) }}
        ) as swept
        inner join rule_groups on swept.group_number = rule_groups.group_number
    ),

    several_groups as (
        select * from group_spells
        where owner_groups > 1
    ),

    owner_spells as (
        select
            owner,
            owner_value,
            brand_id,
            customer_key,
            from_day,
            to_day
        from group_spells
        where owner_groups = 1
        union all
        select
            owner,
            owner_value,
            brand_id,
            customer_key,
            from_day,
            to_day
        from (
            {{ quanyu.union_of_spells(
                'several_groups', ['owner', 'owner_value', 'brand_id', 'customer_key'],
            ) | indent(12) }}
        ) as united
    )
{%- endmacro %}

