-- Fails with: a brand, day and metric whose parts do not lead from the figure first published for the day before to
--             the figure that holds for the day.
-- Why: whoever compares today's report with yesterday's must find all of the difference.
-- Not claimed: that every part has its true cause.
{{ config(meta={'dagster': {'ref': {'name': 'published_changes'}}}) }}
with figures as (
    select
        brand_id,
        as_of_date,
        metric,
        version,
        figure
    from {{ ref('published_figures') }}
),

-- What holds is the newest version.
newest as (
    select * from figures
    qualify row_number() over (partition by brand_id, as_of_date, metric order by version desc) = 1
),

changes as (
    select
        newest.brand_id,
        newest.as_of_date,
        newest.metric,
        newest.figure - first_published.figure as change
    from newest
    inner join figures as first_published
        on
            newest.brand_id = first_published.brand_id
            and newest.metric = first_published.metric
            and newest.as_of_date = {{ quanyu.add_days('first_published.as_of_date', 1) }}
            and first_published.version = 1
    -- Days that are published now: a brand whose rows were withdrawn has none, an earlier as-of date fewer.
    inner join {{ ref('fast_daily') }} as fast_daily
        on newest.brand_id = fast_daily.brand_id and newest.as_of_date = fast_daily.as_of_date
),

explained as (
    select
        brand_id,
        as_of_date,
        metric,
        sum(contribution) as contribution
    from {{ ref('published_changes') }}
    group by brand_id, as_of_date, metric
)

select
    changes.*,
    explained.contribution
from changes
left join explained
    on
        changes.brand_id = explained.brand_id
        and changes.as_of_date = explained.as_of_date
        and changes.metric = explained.metric
where changes.change <> coalesce(explained.contribution, 0)
