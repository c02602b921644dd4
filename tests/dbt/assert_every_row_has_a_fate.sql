-- Fails for each fate of landed rows, or want of one, that nobody has heard of.
-- Why: every model chooses rows by their fate, and rows of a batch that was taken away are in no sum of
-- assert_rows_are_conserved.
-- Not claimed: that a row has the right fate; tests/python/test_daily_job.py compares with planted truth.
{{ config(meta={'dagster': {'ref': {'name': 'base_landing__touchpoints'}}}) }}
{%- for entity in quanyu.base_entities() %}
select
    '{{ entity }}' as entity,
    _fate as fate,
    count(*) as row_count
from {{ ref('base_landing__' ~ entity) }}
where _fate is null or _fate not in ('accepted', 'duplicate', 'superseded', 'quarantined', 'withdrawn', 'erased')
group by _fate
{{ 'union all' if not loop.last }}
{%- endfor %}
