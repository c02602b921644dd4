-- Grain: one row per brand, period kind (week, month, promotion) and period that has begun by the as-of date.
-- Why: FAST over a period: fertility as a union of people, advancing from the day before it to its end, and of the
--      members of the day before it those who were active in it.
-- Not here: sums over days; nobody is counted twice. A period that still runs is looked at up to the as-of date.
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set model = var('fast_stage_model') %}
{%- set benefits = quanyu.behaviour_mask(quanyu.stage_plan(), 'member_benefit') if execute else 0 %}
with calendar as (
    select * from {{ ref('int_stages__calendar') }}
),

brands as (
    select
        brand_id,
        min(as_of_date) as first_date,
        max(as_of_date) as last_date
    from calendar
    group by brand_id
),

weeks_and_months as (
    select distinct
        brand_id,
        'week' as period_kind,
        cast(date_trunc('week', as_of_date) as date) as starts_on,
        {{ quanyu.add_days("cast(date_trunc('week', as_of_date) as date)", 6) }} as ends_on
    from calendar
    union all
    select distinct
        brand_id,
        'month' as period_kind,
        cast(date_trunc('month', as_of_date) as date) as starts_on,
        last_day(as_of_date) as ends_on
    from calendar
),

periods as (
    select
        weeks_and_months.brand_id,
        weeks_and_months.period_kind,
        case
            when weeks_and_months.period_kind = 'week' then cast(weeks_and_months.starts_on as {{ dbt.type_string() }})
            else substring(cast(weeks_and_months.starts_on as {{ dbt.type_string() }}), 1, 7)
        end as period_id,
        weeks_and_months.starts_on,
        weeks_and_months.ends_on,
        least(weeks_and_months.ends_on, brands.last_date) as last_on,
        {{ quanyu.add_days('weeks_and_months.starts_on', -1) }} as day_before
    from weeks_and_months
    inner join brands on weeks_and_months.brand_id = brands.brand_id
    union all
    select
        brands.brand_id,
        'promotion' as period_kind,
        promotions.promotion_id as period_id,
        promotions.starts_on,
        promotions.ends_on,
        least(promotions.ends_on, brands.last_date) as last_on,
        {{ quanyu.add_days('promotions.starts_on', -1) }} as day_before
    from {{ ref('promotion_calendar') }} as promotions
    inner join brands on promotions.brand_id = '*' or promotions.brand_id = brands.brand_id
    where promotions.starts_on <= brands.last_date and promotions.ends_on >= brands.first_date
),

-- A number stands for a period wherever its customers are grouped.
numbered_periods as (
    select
        *,
        cast(row_number() over (order by brand_id, period_kind, period_id) as integer) as period_number
    from periods
),

period_days as (
    select
        periods.*,
        calendar.as_of_date
    from numbered_periods as periods
    inner join calendar
        on
            periods.brand_id = calendar.brand_id
            and calendar.as_of_date between periods.starts_on and periods.last_on
),

spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        previous_rank,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = '{{ model }}'
),

stocks as (
    select
        brand_id,
        as_of_date,
        sum(case when model = '{{ model }}' then customers else 0 end) as customers,
        sum(case when model = 'fast_members_30d' then customers else 0 end) as members
    from {{ ref('int_stages__daily') }}
    group by brand_id, as_of_date
),

-- People of the period: those there on its first day, and those who came in later and were not.
comers as (
    select distinct
        period_days.period_number,
        spells.customer_key
    from period_days
    inner join spells
        on period_days.brand_id = spells.brand_id and period_days.as_of_date = spells.valid_from
    where spells.previous_rank = 0 and period_days.as_of_date > period_days.starts_on
),

newcomers as (
    select
        comers.period_number,
        count(*) as customers
    from comers
    inner join numbered_periods as periods on comers.period_number = periods.period_number
    left join spells
        on
            periods.brand_id = spells.brand_id
            and comers.customer_key = spells.customer_key
            and periods.starts_on >= spells.valid_from
            and periods.starts_on < spells.valid_to
    where spells.customer_key is null
    group by comers.period_number
),

acting as (
    select
        period_days.period_number,
        customer_day.customer_key,
        max(case
            when (customer_day.behaviours & {{ benefits }}) <> 0 or customer_day.purchase_valid_to > period_days.last_on
                then 1
            else 0
        end) as is_benefit
    from {{ ref('customer_day') }} as customer_day
    inner join period_days
        on customer_day.brand_id = period_days.brand_id and customer_day.activity_date = period_days.as_of_date
    where customer_day.touchpoint_count > 0 or customer_day.purchase_valid_to > period_days.last_on
    group by period_days.period_number, customer_day.customer_key
),

active as (
    select
        acting.period_number,
        count(distinct acting.customer_key) as customers
    from acting
    inner join numbered_periods as periods on acting.period_number = periods.period_number
    inner join spells
        on
            periods.brand_id = spells.brand_id
            and acting.customer_key = spells.customer_key
            and periods.last_on >= spells.valid_from
            and periods.starts_on < spells.valid_to
    group by acting.period_number
),

member_spells as (
    select
        brand_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = 'fast_members_30d'
),

active_members as (
    select
        acting.period_number,
        count(*) as customers
    from acting
    inner join numbered_periods as periods on acting.period_number = periods.period_number
    inner join member_spells
        on
            periods.brand_id = member_spells.brand_id
            and acting.customer_key = member_spells.customer_key
            and periods.day_before >= member_spells.valid_from
            and periods.day_before < member_spells.valid_to
    where acting.is_benefit = 1
    group by acting.period_number
),

-- Whoever is deeper at the end came into that stage in the period.
deepened as (
    select
        period_days.period_number,
        count(*) as customers
    from period_days
    inner join spells as at_end
        on
            period_days.brand_id = at_end.brand_id
            and period_days.as_of_date = at_end.valid_from
            and period_days.last_on < at_end.valid_to
    inner join spells as before
        on
            at_end.brand_id = before.brand_id
            and at_end.customer_key = before.customer_key
            and period_days.day_before >= before.valid_from
            and period_days.day_before < before.valid_to
    where at_end.stage_rank > before.stage_rank
    group by period_days.period_number
),

fast_periods as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        periods.starts_on,
        periods.ends_on,
        periods.last_on,
        periods.last_on = periods.ends_on as is_complete,
        cast(coalesce(first_stocks.customers, 0) + coalesce(newcomers.customers, 0) as bigint) as fertility,
        cast(coalesce(active.customers, 0) as bigint) as fertility_active,
        cast(coalesce(stocks_before.customers, 0) as bigint) as advancing_base,
        cast(coalesce(deepened.customers, 0) as bigint) as advancing_deepened,
        cast(coalesce(deepened.customers, 0) * 1.0 / nullif(stocks_before.customers, 0) as double) as advancing_rate,
        cast(coalesce(last_stocks.members, 0) as bigint) as superiority,
        cast(coalesce(stocks_before.members, 0) as bigint) as thriving_base,
        cast(coalesce(active_members.customers, 0) as bigint) as thriving_active,
        cast(
            coalesce(active_members.customers, 0) * 1.0 / nullif(stocks_before.members, 0) as double
        ) as thriving_rate
    from numbered_periods as periods
    left join stocks as stocks_before
        on periods.brand_id = stocks_before.brand_id and periods.day_before = stocks_before.as_of_date
    left join stocks as first_stocks
        on periods.brand_id = first_stocks.brand_id and periods.starts_on = first_stocks.as_of_date
    left join stocks as last_stocks
        on periods.brand_id = last_stocks.brand_id and periods.last_on = last_stocks.as_of_date
    {%- for part in ['newcomers', 'active', 'deepened', 'active_members'] %}
    left join {{ part }} on periods.period_number = {{ part }}.period_number
    {%- endfor %}
)

select * from fast_periods
order by brand_id, period_kind, period_id
