-- Grain: one row per brand, period kind, period and layer on the day before it (`none` and `all` included).
-- Why: A of STAR: how many of each layer moved forward or backward, and how lively the layer was.
-- Not here: where they went (star_flows), the goals 拉新 蓄水 种草 转化 (star_goal_flows). Of the people outside 5R
--           only those whom something touched in the period can be seen.
with periods as (
    select * from {{ ref('int_star__periods') }}
),

people as (
    select * from {{ ref('int_star__customer_periods') }}
),

deeds as (
    select
        period_key,
        rank_before,
        count(*) as touched_customers,
        sum(is_active) as active_customers,
        sum(active_days) as active_days,
        sum(event_count - message_count) as event_count,
        sum(interaction_count) as interaction_count,
        sum(case when interaction_count > 0 then 1 else 0 end) as interacting_customers,
        sum(has_message) as messaged_customers,
        sum(has_message * has_message_in) as replying_customers,
        sum(has_coupon_claim) as benefit_customers,
        sum(has_coupon_claim * greatest(has_coupon_use, has_points_redeem)) as benefit_using_customers,
        sum(has_share) as sharing_customers
    from people
    group by period_key, rank_before
),

in_groups as (
    select
        periods.period_key,
        periods.brand_id,
        periods.day_before,
        stays.customer_key
    from {{ ref('int_star__asset_stays') }} as stays
    inner join periods
        on
            stays.brand_id = periods.brand_id
            and stays.from_day <= {{ quanyu.day_number('periods.day_before') }}
            and stays.to_day > {{ quanyu.day_number('periods.day_before') }}
    where stays.asset = 'group_member'
),

layers as (
    select
        in_groups.period_key,
        in_groups.customer_key,
        spells.stage_rank
    from in_groups
    inner join {{ ref('int_stages__spells') }} as spells
        on
            in_groups.brand_id = spells.brand_id
            and in_groups.customer_key = spells.customer_key
            and in_groups.day_before >= spells.valid_from
            and (spells.valid_to is null or in_groups.day_before < spells.valid_to)
    where spells.model = '{{ var("star_stage_model") }}'
),

group_members as (
    select
        in_groups.period_key,
        coalesce(layers.stage_rank, 0) as rank_before,
        count(*) as group_members,
        sum(coalesce(people.is_active_in_group, 0)) as group_active_members
    from in_groups
    left join layers
        on in_groups.period_key = layers.period_key and in_groups.customer_key = layers.customer_key
    left join people
        on in_groups.period_key = people.period_key and in_groups.customer_key = people.customer_key
    group by in_groups.period_key, coalesce(layers.stage_rank, 0)
),

ranks as (
    select
        stage as layer,
        {{ adapter.quote('rank') }} as stage_rank
    from {{ ref('stages') }}
    where model = '{{ var("star_stage_model") }}'
    union all
    select
        'none' as layer,
        0 as stage_rank
),

moves as (
    select
        brand_id,
        period_kind,
        period_id,
        from_layer,
        max(from_customers) as layer_customers,
        sum(case when direction = 'stayed' then customers else 0 end) as stayed_customers,
        sum(case when direction in ('forward', 'new') then customers else 0 end) as forward_customers,
        sum(case when direction in ('backward', 'lost') then customers else 0 end) as backward_customers,
        sum(case when direction = 'lost' then customers else 0 end) as lost_customers
    from {{ ref('star_flows') }}
    group by brand_id, period_kind, period_id, from_layer
),

{% set measures = [
    'touched_customers', 'active_customers', 'active_days', 'event_count', 'interaction_count',
    'interacting_customers', 'messaged_customers', 'replying_customers', 'group_members', 'group_active_members',
    'benefit_customers', 'benefit_using_customers', 'sharing_customers',
] -%}
{% set flows = [
    'layer_customers', 'stayed_customers', 'forward_customers', 'backward_customers', 'lost_customers'
] -%}
by_layer as (
    select
        periods.period_key,
        ranks.layer,
        {%- for flow in flows %}
        {%- if flow == 'layer_customers' %}
        case when ranks.stage_rank > 0 then coalesce(moves.layer_customers, 0) end as layer_customers,
        {%- else %}
        coalesce(moves.{{ flow }}, 0) as {{ flow }},
        {%- endif %}
        {%- endfor %}
        {%- for measure in measures %}
        coalesce({{ measure }}, 0) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from periods
    cross join ranks
    left join moves
        on
            periods.brand_id = moves.brand_id
            and periods.period_kind = moves.period_kind
            and periods.period_id = moves.period_id
            and ranks.layer = moves.from_layer
    {%- for part in ['deeds', 'group_members'] %}
    left join {{ part }}
        on periods.period_key = {{ part }}.period_key and ranks.stage_rank = {{ part }}.rank_before
    {%- endfor %}
),

-- Everybody is in one layer or in none on the day before, so the sum is the distinct count.
with_all as (
    select * from by_layer
    union all
    select
        period_key,
        'all' as layer,
        {%- for flow in flows %}
        {%- if flow == 'forward_customers' %}
        sum(case when layer <> 'none' then forward_customers else 0 end) as forward_customers,
        {%- else %}
        sum({{ flow }}) as {{ flow }},
        {%- endif %}
        {%- endfor %}
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from by_layer
    group by period_key
),

star_activating as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(with_all.layer as {{ dbt.type_string() }}) as layer,
        periods.day_before as from_date,
        periods.last_on as to_date,
        periods.is_complete,
        {%- for flow in flows %}
        cast(with_all.{{ flow }} as bigint) as {{ flow }},
        {%- endfor %}
        {%- for flow in ['forward', 'backward', 'lost'] %}
        cast(with_all.{{ flow }}_customers * 1.0 / nullif(with_all.layer_customers, 0) as double) as {{ flow }}_rate,
        {%- endfor %}
        cast(
            with_all.forward_customers * 1.0
            / case when with_all.layer <> 'none' then nullif(with_all.backward_customers, 0) end as double
        ) as forward_backward_ratio,
        {%- for measure in measures %}
        cast(with_all.{{ measure }} as bigint) as {{ measure }},
        {%- endfor %}
        cast(
            with_all.active_days * 1.0 / ({{ quanyu.days_between('periods.starts_on', 'periods.last_on') }} + 1) as double
        ) as daily_active_customers,
        cast(
            with_all.active_days * 1.0 / ({{ quanyu.days_between('periods.starts_on', 'periods.last_on') }} + 1)
            / nullif(with_all.active_customers, 0) as double
        ) as stickiness,
        {%- for rate, parts in {
            'active_rate': ['active_customers', 'layer_customers'],
            'interactions_per_active': ['interaction_count', 'active_customers'],
            'interacting_rate': ['interacting_customers', 'active_customers'],
            'reply_rate': ['replying_customers', 'messaged_customers'],
            'group_active_rate': ['group_active_members', 'group_members'],
            'benefit_use_rate': ['benefit_using_customers', 'benefit_customers'],
            'share_rate': ['sharing_customers', 'active_customers'],
        }.items() %}
        {%- set base = 'with_all.' ~ parts[1] %}
        {%- if rate == 'active_rate' %}
        cast(
            case when with_all.layer not in ('none', 'all') then with_all.active_customers end * 1.0
            / nullif(with_all.layer_customers, 0) as double
        ) as active_rate,
        {%- else %}
        cast(with_all.{{ parts[0] }} * 1.0 / nullif({{ base }}, 0) as double) as {{ rate }}{{ ',' if not loop.last }}
        {%- endif %}
        {%- endfor %}
    from with_all
    inner join periods on with_all.period_key = periods.period_key
)

select * from star_activating
order by brand_id, period_kind, period_id, layer
