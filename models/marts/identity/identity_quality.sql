-- Grain: one row per metric and breakdown.
-- Why: how well people are recognised, and what the guards refused, so that every head-count can be judged.
-- Not here: trends; keep the published copies of each day for these.
{%- set truth = var('identity_truth', '') or env_var('QUANYU_IDENTITY_TRUTH', '') %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identifiers as (
    select
        identifier_key,
        customer_key,
        is_anonymous_visitor,
        identifier_type,
        case
            when position(':' in identifier_value) > 0
                then substring(identifier_value, 1, position(':' in identifier_value) - 1)
            else ''
        end as scope
    from {{ ref('int_identity__customer_map') }}
),

holders as (
    select
        customer_key,
        count(*) as identifier_count,
        count(distinct concat(identifier_type, '|', scope)) as origin_count,
        max(case when identifier_type = 'member_id' then 1 else 0 end) as members,
        max(case when identifier_type = 'unionid' then 1 else 0 end) as unionids,
        max(case when is_anonymous_visitor then 0 else 1 end) as people
    from identifiers
    group by customer_key
),

touchpoints as (
    select
        customers.people,
        count(*) as events
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join holders as customers on touchpoints.customer_key = customers.customer_key
    group by customers.people
),

orders as (
    select
        coalesce(customers.people, 0) as people,
        count(*) as events
    from {{ ref('fct_orders') }} as orders
    left join holders as customers on orders.customer_key = customers.customer_key
    group by coalesce(customers.people, 0)
),

identified as (
    select
        'identification_rate' as metric,
        'touchpoints' as breakdown,
        sum(case when people = 1 then events else 0 end) as numerator,
        sum(events) as denominator
    from touchpoints
    union all
    select
        'identification_rate' as metric,
        'orders' as breakdown,
        sum(case when people = 1 then events else 0 end) as numerator,
        sum(events) as denominator
    from orders
),

about_people as (
    select
        'cross_channel_rate' as metric,
        'all' as breakdown,
        sum(case when origin_count >= 2 then 1 else 0 end) as numerator,
        count(*) as denominator
    from holders
    where people = 1
    union all
    select
        'merge_ratio' as metric,
        'all' as breakdown,
        sum(identifier_count) as numerator,
        count(*) as denominator
    from holders
    where people = 1
),

apps as (
    select
        customer_key,
        scope as breakdown
    from identifiers
    where identifier_type = 'openid'
    union all
    select
        customer_key,
        'all' as breakdown
    from identifiers
    where identifier_type = 'openid'
),

coverage as (
    select
        'unionid_coverage' as metric,
        apps.breakdown,
        sum(holders.unionids) as numerator,
        count(*) as denominator
    from apps
    inner join holders on apps.customer_key = holders.customer_key
    group by apps.breakdown
    union all
    select
        'member_bind_rate' as metric,
        case identifiers.identifier_type when 'external_userid' then 'wecom_contacts' else 'openids' end as breakdown,
        sum(holders.members) as numerator,
        count(*) as denominator
    from identifiers
    inner join holders on identifiers.customer_key = holders.customer_key
    where identifiers.identifier_type in ('external_userid', 'openid')
    group by identifiers.identifier_type
),

sizes as (
    select
        'cluster_size' as metric,
        case
            when identifier_count = 1 then '1'
            when identifier_count = 2 then '2'
            when identifier_count <= 5 then '3-5'
            when identifier_count <= 10 then '6-10'
            when identifier_count <= 20 then '11-20'
            when identifier_count <= 50 then '21-50'
            else '51 and more'
        end as breakdown,
        1 as customers
    from holders
    where people = 1
),

size_distribution as (
    select
        metric,
        breakdown,
        sum(customers) as numerator,
        sum(sum(customers)) over () as denominator
    from sizes
    group by metric, breakdown
),

refused as (
    select
        'refused_links' as metric,
        refusals.guard as breakdown,
        count(*) as numerator,
        (
            select count(*) from {{ ref('int_identity__links') }} as links
            where links.is_in_force and links.link_kind <> 'split'
        ) as denominator
    from {{ ref('identity_refusals') }} as refusals
    group by refusals.guard
),

{% if truth %}
truth as (
    {{ quanyu.identity_truth(truth) }}
),

placed as (
    select
        truth.person_id,
        resolution.customer_key
    from truth
    inner join {{ ref('int_identity__customer_map') }} as resolution
        on truth.identifier_type = resolution.identifier_type and truth.identifier_value = resolution.identifier_value
),

pairs as (
    select
        (select sum(n * (n - 1) / 2) from (
            select count(*) as n from placed group by person_id, customer_key
        ) as x) as right_pairs,
        (select sum(n * (n - 1) / 2) from (
            select count(*) as n from placed group by customer_key
        ) as x) as made_pairs,
        (select sum(n * (n - 1) / 2) from (
            select count(*) as n from truth group by person_id
        ) as x) as true_pairs
),
{% endif %}
all_metrics as (
    select * from identified
    union all
    select * from about_people
    union all
    select * from coverage
    union all
    select * from size_distribution
    union all
    select * from refused
    {% if truth %}
    union all
    select 'pairwise_precision', 'truth', right_pairs, made_pairs from pairs
    union all
    select 'pairwise_recall', 'truth', right_pairs, true_pairs from pairs
    union all
    select 'pairwise_f1', 'truth', 2 * right_pairs, made_pairs + true_pairs from pairs
    {% endif %}
),

identity_quality as (
    select
        as_of.as_of_date,
        cast(all_metrics.metric as {{ dbt.type_string() }}) as metric,
        cast(all_metrics.breakdown as {{ dbt.type_string() }}) as breakdown,
        cast(all_metrics.numerator as bigint) as numerator,
        cast(all_metrics.denominator as bigint) as denominator,
        cast(all_metrics.numerator as double) / nullif(all_metrics.denominator, 0) as rate
    from all_metrics
    cross join as_of
    where all_metrics.denominator is not null
)

select * from identity_quality
order by metric, breakdown
