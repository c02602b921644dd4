-- Grain: one row.
-- Why: the day on which everything is looked at, as data, so that a new day needs no re-parse.
-- Not here: the clock. Rows dated after this day are invisible to every model that reads it.
with landed_days as (
    select max(batch_date) as day_seen
    from {{ ref('batches') }}
    where load_number is not null
),

activity_days as (
    select max(occurred_on) as day_seen from {{ ref('stg_landing__touchpoints') }}
    union all
    select max(coalesce(paid_on, ordered_on)) as day_seen from {{ ref('stg_landing__orders') }}
),

chosen as (
    select
        {% set chosen_day = var('as_of_date', '') or env_var('QUANYU_AS_OF_DATE', '') %}
        cast({{ "'" ~ chosen_day ~ "'" if chosen_day else 'null' }} as date) as chosen_day,
        (select max(landed_days.day_seen) from landed_days) as newest_batch_date,
        (select max(activity_days.day_seen) from activity_days) as newest_activity_on
),

as_of as (
    select
        coalesce(chosen_day, newest_batch_date, newest_activity_on) as as_of_date,
        case
            when chosen_day is not null then 'chosen'
            when newest_batch_date is not null then 'newest batch'
            else 'newest activity'
        end as as_of_source
    from chosen
)

select * from as_of
