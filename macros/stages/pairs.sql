{#- Query: stays that one customer had in two sets of spells, as the days on which both held.

    A pair of spells a, b of a customer gives the days d on which a held on d - lag and b held on d; with `lag` 0 this
    is the overlap of the two. Both sets hold at most one spell per customer and day, so adding up pairs counts
    people. Columns: the two ranks, the lag and the change in the count (+1, -1) on the day on which it happens; with `keys`
    also whose pair it is, and the days of its second spell. -#}
{% macro stay_pairs(first, second, lags, keys=false) -%}
    select
        a.model,
        a.brand_id,
        a.stage_rank as from_rank,
        b.stage_rank as to_rank,
        lags.lag_days,
        greatest(b.from_day, a.from_day + lags.lag_days) as from_day,
        least(b.to_day, a.to_day + lags.lag_days) as to_day
        {%- if keys %},
        a.customer_key,
        b.from_day as second_from_day,
        b.to_day as second_to_day
        {%- endif %}
    from {{ first }} as a
    inner join {{ second }} as b
        on
            a.model = b.model
            and a.brand_id = b.brand_id
            and a.customer_key = b.customer_key
            and b.from_day < a.to_day + {{ lags | max }}
            and b.to_day > a.from_day
    inner join (
        {%- for lag_days in lags %}
        select {{ lag_days }} as lag_days
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as lags
        on
            b.from_day < a.to_day + lags.lag_days
            and b.to_day > a.from_day + lags.lag_days
{%- endmacro %}


{#- Horizons of stage_flows in days. -#}
{% macro flow_horizons() %}{{ return([1, 7, 30]) }}{% endmacro %}
