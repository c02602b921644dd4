-- Grain: one row per brand and audience on the as-of date (brand_id, audience).
-- Why: how large each audience is, how it moved in a day, a week and a month, and how many of it can be reached.
-- Not here: earlier days; count the spells of audience_members on the day asked for.
{%- set lags = [1, 7, 30] %}
with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

-- Who was in, then and now; spells that ended a month ago or more say nothing about either.
presence as (
    select
        spells.audience,
        spells.brand_id,
        spells.customer_key
        {%- for lag in [0] + lags %},
        max(case
            when
                spells.from_day <= as_of.as_of_day - {{ lag }} and spells.to_day > as_of.as_of_day - {{ lag }}
                then 1
            else 0
        end) as was_in_{{ lag }}
        {%- endfor %}
    from {{ ref('int_audiences__spells') }} as spells
    inner join as_of
        on spells.from_day <= as_of.as_of_day and spells.to_day > as_of.as_of_day - {{ lags | last }}
    group by spells.audience, spells.brand_id, spells.customer_key
),

sizes as (
    select
        audience,
        brand_id,
        sum(was_in_0) as customers
        {%- for lag in lags %},
        sum(was_in_{{ lag }}) as customers_{{ lag }}d_ago,
        sum(case when was_in_0 > was_in_{{ lag }} then 1 else 0 end) as entered_{{ lag }}d,
        sum(case when was_in_0 < was_in_{{ lag }} then 1 else 0 end) as left_{{ lag }}d
        {%- endfor %}
    from presence
    group by audience, brand_id
),

hold_outs as (
    select
        audience,
        brand_id,
        sum(case when is_hold_out then 1 else 0 end) as hold_out_customers
    from {{ ref('int_audiences__members') }}
    group by audience, brand_id
),

reach as (
    select
        audience,
        brand_id,
        reachable_customers,
        contactable_customers
    from {{ ref('audience_channels') }}
    where channel = 'any'
),

conditions as (
    select * from {{ ref('int_audiences__conditions') }}
),

-- How far back membership is known: the weakest of the subjects asked, of tags and audiences their own.
subject_history as (
    select
        rule_kind,
        owner,
        max(case
            when subject in ('score', 'owner') then 3
            when subject = 'cycle' then 2
            when subject = 'rfm' then 1
            else 0
        end) as history,
        bit_xor(rule_hash) as own_hash
    from conditions
    group by rule_kind, owner
),

named as (
    select distinct
        rule_kind,
        owner,
        subject as named_kind,
        name as named_owner
    from conditions
    where subject in ('tag', 'audience')
),

{% for level in ['once', 'twice'] -%}
{% set previous = 'subject_history' if loop.first else 'named_once' -%}
named_{{ level }} as (
    select
        own.rule_kind,
        own.owner,
        greatest(own.history, coalesce(max(other.history), 0)) as history,
        own.own_hash,
        {{ quanyu.hash63("concat_ws('|', cast(own.own_hash as " ~ dbt.type_string() ~ "), cast(sum(cast(other."
            ~ ('own_hash' if loop.first else 'rules_hash') ~ " as decimal(38, 0))) as " ~ dbt.type_string() ~ "))") }}
            as rules_hash
    from subject_history as own
    left join named on own.rule_kind = named.rule_kind and own.owner = named.owner
    left join {{ previous }} as other on named.named_kind = other.rule_kind and named.named_owner = other.owner
    group by own.rule_kind, own.owner, own.history, own.own_hash
),

{% endfor -%}
brands as (
    select
        definitions.audience,
        definitions.family,
        definitions.name_en,
        definitions.name_zh,
        base.brand_id,
        base.base_customers
    from {{ ref('audience_definitions') }} as definitions
    inner join {{ ref('int_audiences__base') }} as base
        on definitions.brand_id = '*' or definitions.brand_id = base.brand_id
),

audiences as (
    select
        cast(brands.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(brands.audience as {{ dbt.type_string() }}) as audience,
        as_of.as_of_date,
        cast(brands.family as {{ dbt.type_string() }}) as family,
        cast(brands.name_en as {{ dbt.type_string() }}) as name_en,
        cast(brands.name_zh as {{ dbt.type_string() }}) as name_zh,
        cast(case rules.history
            when 3 then 'as_of_only'
            when 2 then 'restated'
            when 1 then 'month_end'
            else 'daily'
        end as {{ dbt.type_string() }}) as history,
        cast(rules.rules_hash as bigint) as rules_hash,
        cast(coalesce(sizes.customers, 0) as bigint) as customers,
        cast(brands.base_customers as bigint) as base_customers,
        cast(coalesce(sizes.customers, 0) as double) / nullif(brands.base_customers, 0) as customer_share,
        cast(coalesce(hold_outs.hold_out_customers, 0) as bigint) as hold_out_customers,
        cast(coalesce(reach.reachable_customers, 0) as bigint) as reachable_customers,
        cast(coalesce(reach.contactable_customers, 0) as bigint) as contactable_customers
        {%- for lag in lags %},
        {%- for figure in ['customers_' ~ lag ~ 'd_ago', 'entered_' ~ lag ~ 'd', 'left_' ~ lag ~ 'd'] %}
        cast(coalesce(sizes.{{ figure }}, 0) as bigint) as {{ figure }}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- endfor %}
    from brands
    cross join as_of
    inner join named_twice as rules on brands.audience = rules.owner and rules.rule_kind = 'audience'
    left join sizes on brands.audience = sizes.audience and brands.brand_id = sizes.brand_id
    left join hold_outs on brands.audience = hold_outs.audience and brands.brand_id = hold_outs.brand_id
    left join reach on brands.audience = reach.audience and brands.brand_id = reach.brand_id
)

select * from audiences
order by brand_id, audience
