-- Grain: one row per condition of a rule (rule_kind, owner, owner_value, rule_group, condition).
-- Why: tag_rules and audience_rules in one shape; conditions that ask the same have one number and are answered once.
-- Not here: the rows of facts that answer them (int_audiences__condition_spells).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set parameters = [
    'subject', 'name', 'value', 'channel', 'measure', 'min_value', 'max_value', 'window_days', 'days_ago',
] %}

with rules as (
    select
        'tag' as rule_kind,
        tag as owner,
        tag_value as owner_value,
        rule_group,
        {{ adapter.quote('condition') }} as condition,
        is_not,
        {{ parameters | join(',\n        ') }}
    from {{ ref('tag_rules') }}
    union all
    select
        'audience' as rule_kind,
        audience as owner,
        '' as owner_value,
        rule_group,
        {{ adapter.quote('condition') }} as condition,
        is_not,
        {{ parameters | join(',\n        ') }}
    from {{ ref('audience_rules') }}
),

filled as (
    select
        rule_kind,
        owner,
        owner_value,
        rule_group,
        condition,
        coalesce(is_not, false) as is_not,
        owner_value = '*' as is_valued,
        subject,
        coalesce(name, '') as name,
        coalesce(value, '*') as value,
        coalesce(channel, '*') as channel,
        coalesce(measure, 'events') as measure,
        cast(coalesce(min_value, case when max_value is null then 1 else 0.0001 end) as decimal(18, 4)) as min_value,
        cast(max_value as decimal(18, 4)) as max_value,
        window_days,
        days_ago
    from rules
),

int_audiences__conditions as (
    select
        *,
        cast(dense_rank() over (order by is_valued, {{ parameters | join(' nulls last, ') }} nulls last) as integer) as condition_id,
        {{ quanyu.hash63_of(
            ['rule_kind', 'owner', 'owner_value', 'rule_group', 'is_not'] + parameters
        ) }} as rule_hash,
        -- What spells are summed up by: one number instead of four names and numbers.
        cast(dense_rank() over (order by rule_kind, owner, owner_value, rule_group) as integer) as group_number,
        count(*) over (partition by rule_kind, owner, owner_value, rule_group) as group_conditions,
        sum(case when is_not then 0 else 1 end) over (
            partition by rule_kind, owner, owner_value, rule_group
        ) as plain_conditions,
        -- Group numbers of an owner are 1, 2, 3 ... without a gap (orchestration/audiences.py).
        max(rule_group) over (partition by rule_kind, owner, owner_value) as owner_groups
    from filled
)

select * from int_audiences__conditions
