-- Grain: one row per model, brand, customer and unbroken stay in a stage (model, brand_id, customer_key, valid_from).
-- Why: the answer of the stage engine for every model of the seeds and every day, past and to come: on day d the
--      stage is that of the row with valid_from <= d and (valid_to is null or d < valid_to), `none` without one. A stay
--      that ends because a window runs out ends on a day known in advance, so time alone costs no work.
-- Not here: names of stages (int_stages__spells); anonymous visitors (var count_anonymous_visitors); public ids
--           (fct_stage_spells).
{{ config(materialized='incremental', incremental_strategy='replace_touched_by_rules') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }} {{ ref('stg_landing__memberships') }} {{ ref('fct_touchpoints') }}
-- depends_on: {{ ref('int_stages__spells_replaced') }}
{%- set plan = quanyu.stage_plan() %}
{%- set columns = quanyu.stage_columns(plan) %}
{%- set far = quanyu.far_day() %}
{%- set purchase_bit = quanyu.source_bit(plan, 'purchase', 'valid') %}
{%- set unit = 'brand_number, customer_key, epoch_from' %}

with touched as (
    {% if is_incremental() -%}
    {{ quanyu.touched_by_rules() }}
    {%- else -%}
    select customer_key from {{ ref('int_lifecycle__touched_customers') }}
    where {{ quanyu.in_part('customer_key') }}
    {%- endif %}
),

customers as (
    select distinct customer_key
    from {{ ref('int_identity__customer_map') }}
    where
        customer_key in (select touched.customer_key from touched)
        {%- if not var('count_anonymous_visitors') %}
        and not is_anonymous_visitor
        {%- endif %}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

-- A message has the brand of its campaign, else the default one.
told_days as (
    select
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        map.customer_key,
        {{ quanyu.day_number('cast(messages.delivered_at as date)') }} as day,
        cast({{ quanyu.source_bit(plan, 'message', 'delivered') }} as bigint) as behaviours
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('int_identity__resolution') }} as map on messages.identifier_key = map.identifier_key
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where
        cast(messages.delivered_at as date) <= (select as_of.as_of_date from as_of)
        and {{ quanyu.owned_at('messages.sent_at', 'map') }}
        and map.customer_key in (select touched.customer_key from touched)
    union all
    select
        brand_id,
        inviter_key as customer_key,
        {{ quanyu.day_number('accepted_on') }} as day,
        cast({{ quanyu.source_bit(plan, 'referral', 'accepted') }} as bigint) as behaviours
    from {{ ref('fct_referrals') }}
    where
        accepted_on is not null
        and inviter_key in (select touched.customer_key from touched)
),

told as (
    select
        brand_id,
        customer_key,
        day,
        bit_or(behaviours) as behaviours
    from told_days
    group by brand_id, customer_key, day
),

-- Brands as small numbers: every window below is partitioned by them.
brands as (
    select
        brand_id,
        cast(row_number() over (order by brand_id) as smallint) as brand_number
    from (
        select brand_id from {{ ref('customer_day') }}
        {%- if is_incremental() %}
        where {{ quanyu.written_since_rules() }}
        {%- endif %}
        union
        select brand_id from told
    ) as brand_ids
),

-- A customer's day stands here once: what was told him is added to what he did.
told_numbered as (
    select
        brands.brand_number,
        told.customer_key,
        told.day,
        told.behaviours
    from told
    inner join brands on told.brand_id = brands.brand_id
    inner join customers on told.customer_key = customers.customer_key
),

active_days as (
    select
        brands.brand_number,
        customer_day.customer_key,
        {{ quanyu.day_number('customer_day.activity_date') }} as day,
        customer_day.behaviours,
        customer_day.relationships,
        {{ quanyu.day_number('customer_day.purchase_valid_to') }} as purchase_until
    from {{ ref('customer_day') }} as customer_day
    inner join brands on customer_day.brand_id = brands.brand_id
    inner join customers on customer_day.customer_key = customers.customer_key
    {%- if is_incremental() %}
    where {{ quanyu.written_since_rules() }}
    {%- endif %}
),

days as (
    select
        coalesce(active_days.brand_number, told_numbered.brand_number) as brand_number,
        coalesce(active_days.customer_key, told_numbered.customer_key) as customer_key,
        coalesce(active_days.day, told_numbered.day) as day,
        coalesce(active_days.behaviours, 0) | coalesce(told_numbered.behaviours, 0) as behaviours,
        active_days.relationships,
        active_days.purchase_until
    from active_days
    full join told_numbered
        on
            active_days.brand_number = told_numbered.brand_number
            and active_days.customer_key = told_numbered.customer_key
            and active_days.day = told_numbered.day
),

-- A purchase that is refunded in full counts until the day before and then never did. So the history of its customer
-- falls into epochs, cut on the days on which a purchase ceases to count, and each epoch is computed from the purchases
-- that still count in it.
voidings as (
    select distinct
        brands.brand_number,
        orders.customer_key,
        {{ quanyu.day_number('orders.valid_to') }} as voided_on
    from {{ ref('fct_orders') }} as orders
    inner join brands on orders.brand_id = brands.brand_id
    inner join customers on orders.customer_key = customers.customer_key
    where
        orders.valid_to > orders.valid_from
        and orders.valid_from <= (select as_of.as_of_date from as_of)
),

epochs as (
    select
        brand_number,
        customer_key,
        voided_on as epoch_from,
        lead(voided_on, 1, {{ far }}) over (partition by brand_number, customer_key order by voided_on) as epoch_to
    from voidings
    union all
    select
        brand_number,
        customer_key,
        0 as epoch_from,
        min(voided_on) as epoch_to
    from voidings
    group by brand_number, customer_key
),
{% if columns.sums %}
-- What is counted or added up, one by one, for the conditions that ask for more than the last or last-but-one day.
occurrences as (
    select
        brands.brand_number,
        touchpoints.customer_key,
        {{ quanyu.day_number('touchpoints.occurred_on') }} as day,
        {{ far }} as until,
        cast({{ quanyu.touchpoint_bits(plan, 'touchpoints.event_type', 'touchpoints.event_value') | indent(8) }} as bigint)
            as behaviours,
        coalesce(touchpoints.event_value, 0) as amount
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join brands on touchpoints.brand_id = brands.brand_id
    inner join customers on touchpoints.customer_key = customers.customer_key
    {%- if is_incremental() %}
    where {{ quanyu.written_since_rules() }}
    {%- endif %}
    union all
    select
        brands.brand_number,
        orders.customer_key,
        {{ quanyu.day_number('orders.valid_from') }} as day,
        coalesce({{ quanyu.day_number('orders.valid_to') }}, {{ far }}) as until,
        cast({{ purchase_bit }} as bigint) as behaviours,
        orders.paid_amount as amount
    from {{ ref('fct_orders') }} as orders
    inner join brands on orders.brand_id = brands.brand_id
    inner join customers on orders.customer_key = customers.customer_key
    where
        orders.valid_from <= (select as_of.as_of_date from as_of)
        and (orders.valid_to is null or orders.valid_to > orders.valid_from)
    union all
    select
        brands.brand_number,
        map.customer_key,
        {{ quanyu.day_number('memberships.occurred_on') }} as day,
        {{ far }} as until,
        cast({{ quanyu.source_bit(plan, 'membership', 'join') }} as bigint) as behaviours,
        0 as amount
    from {{ ref('stg_landing__memberships') }} as memberships
    inner join {{ ref('int_identity__customer_map') }} as map on memberships.member_key = map.identifier_key
    inner join brands on memberships.brand_id = brands.brand_id
    inner join customers on map.customer_key = customers.customer_key
    where
        memberships.membership_event = 'join'
        and memberships.occurred_on <= (select as_of.as_of_date from as_of)
    union all
    select
        brands.brand_number,
        told_days.customer_key,
        told_days.day,
        {{ far }} as until,
        told_days.behaviours,
        0 as amount
    from told_days
    inner join brands on told_days.brand_id = brands.brand_id
    inner join customers on told_days.customer_key = customers.customer_key
),

occurrences_by_epoch as (
    select
        occurrences.*,
        coalesce(epochs.epoch_from, 0) as epoch_from,
        coalesce(epochs.epoch_to, {{ far }}) as epoch_to
    from occurrences
    left join epochs
        on occurrences.brand_number = epochs.brand_number and occurrences.customer_key = epochs.customer_key
    where epochs.epoch_from is null or occurrences.until > epochs.epoch_from and occurrences.day < epochs.epoch_to
),

values_by_day as (
    select
        {{ unit }},
        epoch_to,
        day
        {%- for condition in columns.sums %}
        {%- set hit = '(behaviours & ' ~ condition.mask ~ ') <> 0' %},
        {% if condition.measure == 'events' -%}
        sum(case when {{ hit }} then 1 else 0 end)
        {%- elif condition.measure == 'days' -%}
        max(case when {{ hit }} then 1 else 0 end)
        {%- else -%}
        sum(case when {{ hit }} then amount else 0 end)
        {%- endif %} as value_{{ loop.index }}
        {%- endfor %}
    from occurrences_by_epoch
    group by {{ unit }}, epoch_to, day
),
{% endif %}
{% if columns.sums %}spine_rows{% else %}spine{% endif %} as (
    select
        days.brand_number,
        days.customer_key,
        coalesce(epochs.epoch_from, 0) as epoch_from,
        coalesce(epochs.epoch_to, {{ far }}) as epoch_to,
        days.day,
        days.behaviours
        | case when days.purchase_until > coalesce(epochs.epoch_from, 0) then {{ purchase_bit }} else 0 end as behaviours,
        days.relationships
        {%- for condition in columns.sums %},
        0 as value_{{ loop.index }}
        {%- endfor %}
    from days
    left join epochs
        on days.brand_number = epochs.brand_number and days.customer_key = epochs.customer_key
    where epochs.epoch_to is null or days.day < epochs.epoch_to
    {%- if columns.sums %}
    union all
    select
        {{ unit }},
        epoch_to,
        day,
        0 as behaviours,
        null as relationships
        {%- for condition in columns.sums %},
        value_{{ loop.index }}
        {%- endfor %}
    from values_by_day
    {%- for window_days in columns.sums | map(attribute='days') | unique if window_days != '' %}
    -- A sum falls when something leaves its window of {{ window_days }} days.
    union all
    select
        {{ unit }},
        epoch_to,
        day + {{ window_days }} as day,
        0 as behaviours,
        null as relationships
        {%- for condition in columns.sums %},
        0 as value_{{ loop.index }}
        {%- endfor %}
    from values_by_day
    where day + {{ window_days }} < epoch_to
    {%- endfor %}
    {%- endif %}
),
{% if columns.sums %}
-- A day stands on the spine once.
spine as (
    select
        {{ unit }},
        epoch_to,
        day,
        bit_or(behaviours) as behaviours,
        max(relationships) as relationships
        {%- for condition in columns.sums %},
        sum(value_{{ loop.index }}) as value_{{ loop.index }}
        {%- endfor %}
    from spine_rows
    group by {{ unit }}, epoch_to, day
),
{% endif %}
-- The one pass over the days in order. It looks back from each day to what was known before it; with the day itself
-- that gives both the stage that the day begins and the one that it ends.
followed as (
    select
        {{ unit }},
        epoch_to,
        behaviours,
        relationships,
        day,
        greatest(day, epoch_from) as from_day,
        least(lead(day, 1, {{ far }}) over in_order, epoch_to) as to_day
        {%- for name, sql in columns.first.items() %},
        {{ sql }} as {{ name }}
        {%- endfor %}
    from spine
    window in_order as (partition by {{ unit }} order by day)
),

measured as (
    select
        {{ unit }},
        epoch_to,
        from_day,
        to_day
        {%- for name in columns.first %},
        {{ name }}
        {%- endfor %}
        {%- for name, sql in columns.second.items() %},
        {{ sql }} as {{ name }}
        {%- endfor %}
    from followed
    where to_day > from_day
),

-- For every rule set: until when each stage would last, and the rank held on the day before, 0 for none.
expiring as (
    select
        brand_number,
        customer_key,
        from_day,
        to_day,
        epoch_from = from_day and epoch_from > 0 as begins_epoch,
        epoch_from > 0 or epoch_to < {{ far }} as has_epochs
        {%- for ruleset in plan.rulesets %}
        {%- for stage in columns.stages[ruleset.number] %},
        {{ stage.now }} as until_{{ ruleset.number }}_{{ stage.rank }}
        {%- endfor %},
        case
            {%- for stage in columns.stages[ruleset.number] %}
            when {{ stage.before }} >= from_day then {{ stage.rank }}
            {%- endfor %}
            else 0
        end as before_{{ ruleset.number }}
        {%- endfor %}
    from measured
),

-- Where a stage begins: on the first day of a row that another one precedes, and inside a row wherever a higher stage runs
-- out. Rule set, day and rank in one whole number, so that all rule sets together are one column.
turn_numbers as (
    select
        brand_number,
        customer_key,
        has_epochs,
        {{ quanyu.rows_of(quanyu.stage_turns(columns)) | indent(8) }} as turn
    from expiring
),

turns as (
    select
        brand_number,
        customer_key,
        has_epochs,
        cast((turn - (turn & 4294967295)) / 4294967296 as smallint) as ruleset,
        cast(turn & 63 as smallint) as stage_rank,
        -- The day and the rank in one whole number: one look ahead instead of two.
        turn & 4294967295 as turn_number
    from turn_numbers
    where turn is not null
),

-- What an epoch begins with is not told by its own days before, so it is always a turn; here those go that are none.
turns_kept as (
    select
        ruleset,
        brand_number,
        customer_key,
        stage_rank,
        turn_number
    from turns
    where not has_epochs
    union all
    select
        ruleset,
        brand_number,
        customer_key,
        stage_rank,
        turn_number
    from (
        select
            *,
            lag(stage_rank, 1, cast(0 as smallint)) over (
                partition by ruleset, brand_number, customer_key order by turn_number
            ) as rank_before
        from turns
        where has_epochs
    ) as turns_compared
    where stage_rank <> rank_before
),

turns_followed as (
    select
        ruleset,
        brand_number,
        customer_key,
        stage_rank,
        cast((turn_number - stage_rank) / 64 as integer) as from_day,
        lag(stage_rank, 1, cast(0 as smallint)) over stays_in_order as previous_rank,
        lead(turn_number, 1, cast({{ far * 64 }} as bigint)) over stays_in_order as next_turn
    from turns_kept
    window stays_in_order as (partition by ruleset, brand_number, customer_key order by turn_number)
),

stays as (
    select
        ruleset,
        brand_number,
        customer_key,
        stage_rank,
        from_day,
        cast((next_turn - (next_turn & 63)) / 64 as integer) as to_day,
        previous_rank,
        cast(next_turn & 63 as smallint) as next_rank
    from turns_followed
    where stage_rank > 0
),

{%- set dated = [] %}
{%- for ruleset in plan.rulesets if ruleset.from_day or ruleset.to_day %}{% do dated.append(ruleset) %}{% endfor %}
rulesets as (
    {%- for ruleset in plan.rulesets %}
    select
        cast({{ ruleset.number }} as smallint) as ruleset,
        '{{ ruleset.model }}' as model,
        {{ ruleset.version }} as version,
        {{ quanyu.day_number("date '" ~ ruleset.from_day ~ "'") if ruleset.from_day else 0 }} as in_force_from,
        {{ quanyu.day_number("date '" ~ ruleset.to_day ~ "'") if ruleset.to_day else far }} as in_force_to
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        cast(0 as smallint) as ruleset,
        '' as model,
        0 as version,
        0 as in_force_from,
        0 as in_force_to
    {%- endfor %}
),
{% if dated %}
-- A version holds on its own days only; a stay that goes on under the next version is one stay.
stays_in_force as (
    select
        rulesets.model,
        stays.brand_number,
        stays.customer_key,
        stays.stage_rank,
        rulesets.version,
        greatest(stays.from_day, rulesets.in_force_from) as from_day,
        least(stays.to_day, rulesets.in_force_to) as to_day
    from stays
    inner join rulesets on stays.ruleset = rulesets.ruleset
    where
        stays.stage_rank > 0
        and stays.from_day < rulesets.in_force_to
        and stays.to_day > rulesets.in_force_from
),

stays_compared as (
    select
        *,
        lag(stage_rank) over in_order = stage_rank and lag(to_day) over in_order = from_day as goes_on
    from stays_in_force
    window in_order as (partition by model, brand_number, customer_key order by from_day)
),

stays_numbered as (
    select
        *,
        sum(case when goes_on then 0 else 1 end) over (
            partition by model, brand_number, customer_key order by from_day
            rows between unbounded preceding and current row
        ) as stay_number
    from stays_compared
),

stays_joined as (
    select
        model,
        brand_number,
        customer_key,
        stage_rank,
        max(version) as version,
        min(from_day) as from_day,
        max(to_day) as to_day
    from stays_numbered
    group by model, brand_number, customer_key, stage_rank, stay_number
),

spells as (
    select
        *,
        case
            when lag(to_day) over in_order = from_day then lag(stage_rank) over in_order
            else 0
        end as previous_rank,
        case
            when lead(from_day) over in_order = to_day then lead(stage_rank) over in_order
            else 0
        end as next_rank
    from stays_joined
    window in_order as (partition by model, brand_number, customer_key order by from_day)
),
{% else %}
spells as (
    select
        rulesets.model,
        stays.brand_number,
        stays.customer_key,
        stays.stage_rank,
        rulesets.version,
        stays.from_day,
        stays.to_day,
        stays.previous_rank,
        stays.next_rank
    from stays
    inner join rulesets on stays.ruleset = rulesets.ruleset
    where stays.stage_rank > 0
),
{% endif %}
int_stages__stays as (
    select
        cast(spells.model as {{ dbt.type_string() }}) as model,
        brands.brand_id,
        spells.customer_key,
        cast(spells.stage_rank as smallint) as stage_rank,
        {{ quanyu.day_date('spells.from_day') }} as valid_from,
        {{ quanyu.day_date('spells.to_day') }} as valid_to,
        cast(spells.previous_rank as smallint) as previous_rank,
        cast(spells.next_rank as smallint) as next_rank,
        cast(spells.version as smallint) as rules_version,
        cast({{ plan.hash }} as bigint) as _rules,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from spells
    inner join brands on spells.brand_number = brands.brand_number
)

select * from int_stages__stays
