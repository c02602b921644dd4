-- Fails when two different identifiers have one key (63 bits of MD5), or one identifier has two.
-- Why: a collision would make one customer of two strangers without any record behind it. At 100 million identifiers
--      the chance of any is about 1 in 1,800.
-- Does not claim anything about record keys (_key), which have the same width.
{{ config(meta={'dagster': {'ref': {'name': 'base_landing__touchpoints'}}}) }}

with named as (
    {%- for source in quanyu.identifier_sources() %}
    {{ 'union' if not loop.first }}
    select
        {{ source.key }} as identifier_key,
        {{ source.type }} as identifier_type,
        {{ source.value }} as identifier_value
    from {{ ref('base_landing__' ~ source.entity) }}
    where _fate in {{ quanyu.naming_fates() }}
    {%- endfor %}
)

select
    identifier_key,
    count(*) as identifiers
from named
where identifier_key is not null
group by identifier_key
having count(*) > 1
