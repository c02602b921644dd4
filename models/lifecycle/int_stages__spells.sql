-- Grain: one row per model, brand, customer and unbroken stay in a stage (model, brand_id, customer_key, valid_from).
-- Why: the answer of the stage engine for every model of the seeds and every day, past and to come: on day d the
--      stage is that of the row with valid_from <= d and (valid_to is null or d < valid_to), `none` without one. A stay
--      that ends because a window runs out ends on a day known in advance, so time alone costs no work.
-- Not here: anonymous visitors (var count_anonymous_visitors); public ids (fct_stage_spells).
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
spine as (
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

-- A day may stand on the spine more than once when something is summed: its last row has seen all of it, and the
-- others last for no day.
followed as (
    select
        {{ unit }},
        day,
        behaviours,
        coalesce({{ quanyu.last_known('relationships') }} over so_far, 0) as live,
        greatest(day, epoch_from) as from_day,
        least(lead(day, 1, {{ far }}) over in_order, epoch_to) as to_day
        {%- for name, sql in columns.first.items() %},
        {{ sql }} as {{ name }}
        {%- endfor %}
    from spine
    window
        so_far as (
            partition by {{ unit }} order by day
            rows between unbounded preceding and current row
        ),
        in_order as (partition by {{ unit }} order by day)
),

measured as (
    select
        {{ unit }},
        live,
        from_day,
        to_day
        {%- for name in columns.first if not name.startswith('back') %},
        {{ name }}
        {%- endfor %}
        {%- for name, sql in columns.second.items() %},
        {{ sql }} as {{ name }}
        {%- endfor %}
    from followed
    where to_day > from_day
),

expiring as (
    select
        brand_number,
        customer_key,
        from_day,
        to_day
        {%- for ruleset in plan.rulesets %}
        {%- for stage in columns.stages[ruleset.number] %},
        {{ stage.sql }} as until_{{ ruleset.number }}_{{ stage.rank }}
        {%- endfor %}
        {%- endfor %}
    from measured
),

-- The stage on the first and on the last day of the row, for every rule set; 0 is none.
staged as (
    select
        *
        {%- for ruleset in plan.rulesets %},
        cast(case
            {%- for stage in columns.stages[ruleset.number] %}
            when until_{{ ruleset.number }}_{{ stage.rank }} > from_day then {{ stage.rank }}
            {%- endfor %}
            else 0
        end as smallint) as first_{{ ruleset.number }},
        cast(case
            {%- for stage in columns.stages[ruleset.number] %}
            when until_{{ ruleset.number }}_{{ stage.rank }} >= to_day then {{ stage.rank }}
            {%- endfor %}
            else 0
        end as smallint) as last_{{ ruleset.number }}
        {%- endfor %}
    from expiring
),

-- The last ranks of all rule sets packed into whole numbers, six bits each, and sorted without the columns that say when
-- stages end: with ten rule sets this pass then takes a fifth.
packed as (
    select
        brand_number,
        customer_key,
        from_day
        {%- for ruleset in plan.rulesets %},
        first_{{ ruleset.number }}
        {%- endfor %}
        {%- for pack in plan.rulesets | batch(10) %},
        {% for ruleset in pack -%}
        {{ '+ ' if not loop.first }}cast(last_{{ ruleset.number }} as bigint) * {{ 64 ** loop.index0 }}
        {% endfor -%}
        as last_ranks_{{ loop.index }}
        {%- endfor %}
    from staged
),

joined_up as (
    select
        brand_number,
        customer_key,
        from_day
        {%- for ruleset in plan.rulesets %},
        first_{{ ruleset.number }}
        {%- endfor %}
        {%- for pack in plan.rulesets | batch(10) %},
        lag(last_ranks_{{ loop.index }}, 1, cast(0 as bigint)) over days_in_order as ranks_before_{{ loop.index }}
        {%- endfor %}
    from packed
    {%- if plan.rulesets %}
    window days_in_order as (partition by brand_number, customer_key order by from_day)
    {%- endif %}
),

-- Where a stage begins: at the start of a row when the row before ended in another one, and inside a row wherever
-- a higher stage runs out.
turns as (
    {%- for ruleset in plan.rulesets %}
    {%- set above = ['from_day'] %}
    select
        cast({{ ruleset.number }} as smallint) as ruleset,
        brand_number,
        customer_key,
        from_day as turn_day,
        first_{{ ruleset.number }} as stage_rank
    from joined_up
    {%- set place = 64 ** (loop.index0 % 10) %}
    where
        (ranks_before_{{ loop.index0 // 10 + 1 }} & {{ 63 * place }})
        <> cast(first_{{ ruleset.number }} as bigint) * {{ place }}
    {%- for stage in columns.stages[ruleset.number] + [{'rank': 0}] %}
    {%- set until = 'until_' ~ ruleset.number ~ '_' ~ stage.rank %}
    {%- if not loop.first %}
    {%- set begins = quanyu.extreme('greatest', above) %}
    union all
    select
        cast({{ ruleset.number }} as smallint) as ruleset,
        brand_number,
        customer_key,
        {{ begins }} as turn_day,
        cast({{ stage.rank }} as smallint) as stage_rank
    from staged
    where
        {{ begins }} > from_day
        and {{ begins }} < to_day
        {%- if not loop.last %}
        and {{ until }} > {{ begins }}
        {%- endif %}
    {%- endif %}
    {%- do above.append(until) %}
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- else %}
    select
        cast(null as smallint) as ruleset,
        cast(null as smallint) as brand_number,
        cast(null as bigint) as customer_key,
        0 as turn_day,
        cast(0 as smallint) as stage_rank
    where 1 = 0
    {%- endfor %}
),

-- The day and the rank of the next turn in one whole number: one look ahead instead of two.
turns_followed as (
    select
        ruleset,
        brand_number,
        customer_key,
        stage_rank,
        turn_day as from_day,
        lag(stage_rank, 1, cast(0 as smallint)) over stays_in_order as previous_rank,
        lead(turn_day * 64 + stage_rank, 1, {{ far }} * 64) over stays_in_order as next_turn
    from turns
    window stays_in_order as (partition by ruleset, brand_number, customer_key order by turn_day)
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
stage_names as (
    select
        model,
        {{ adapter.quote('rank') }} as stage_rank,
        stage
    from {{ ref('stages') }}
    union all
    select distinct
        model,
        0 as stage_rank,
        'none' as stage
    from {{ ref('stages') }}
),

int_stages__spells as (
    select
        cast(spells.model as {{ dbt.type_string() }}) as model,
        brands.brand_id,
        spells.customer_key,
        cast(stage_names.stage as {{ dbt.type_string() }}) as stage,
        cast(spells.stage_rank as smallint) as stage_rank,
        {{ quanyu.day_date('spells.from_day') }} as valid_from,
        {{ quanyu.day_date('spells.to_day') }} as valid_to,
        cast(previous_names.stage as {{ dbt.type_string() }}) as previous_stage,
        cast(spells.previous_rank as smallint) as previous_rank,
        cast(next_names.stage as {{ dbt.type_string() }}) as next_stage,
        cast(spells.version as smallint) as rules_version,
        cast({{ plan.hash }} as bigint) as _rules,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from spells
    inner join brands on spells.brand_number = brands.brand_number
    inner join stage_names
        on spells.model = stage_names.model and spells.stage_rank = stage_names.stage_rank
    inner join stage_names as previous_names
        on spells.model = previous_names.model and spells.previous_rank = previous_names.stage_rank
    inner join stage_names as next_names
        on spells.model = next_names.model and spells.next_rank = next_names.stage_rank
)

select * from int_stages__spells
