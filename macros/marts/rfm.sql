{#- Scores of RFM under the scheme of the var rfm_scheme. Equal values always get equal scores: `fixed` and `custom`
    look the value up in the seed rfm_breakpoints, `quintile` cuts by rank with ties together at the low end. -#}

{#- Score of a measure; `order` is the direction in which a value gets better. -#}
{% macro rfm_score(measure, value, order) -%}
    {%- if var('rfm_scheme') == 'quintile' -%}
        least(5, 1 + cast(floor(coalesce(
            5 * (rank() over (partition by as_of_date, brand_id, scope order by {{ value }} {{ order }}) - 1)
            / nullif(count(*) over (partition by as_of_date, brand_id, scope) - 1, 0), 0
        )) as integer))
    {%- else -%}
        {{ measure }}_breakpoints.score
    {%- endif -%}
{%- endmacro %}


{#- CTE: the breakpoints of every brand. A brand with breakpoints of its own for a measure uses those alone, the
    others use those of the brand `*`. -#}
{% macro rfm_brand_breakpoints(customers) -%}
    {%- if var('rfm_scheme') not in ('fixed', 'custom', 'quintile') and execute -%}
        {{ exceptions.raise_compiler_error(
            "var rfm_scheme is `" ~ var('rfm_scheme') ~ "`: use fixed, quintile or custom") }}
    {%- endif -%}
    select
        brands.brand_id,
        breakpoints.measure,
        breakpoints.score,
        -- Open ends as numbers beyond every value, so that a look-up compares and nothing else: with an `or`, DuckDB would
        -- compare every customer with every breakpoint of every brand.
        coalesce(breakpoints.above, cast(-1e15 as decimal(20, 4))) as above,
        coalesce(breakpoints.up_to, cast(1e15 as decimal(20, 4))) as up_to
    from (select distinct brand_id from {{ customers }}) as brands
    inner join {{ ref('rfm_breakpoints') }} as breakpoints
        on
            breakpoints.scheme = '{{ var("rfm_scheme") }}'
            and (breakpoints.brand_id = '*' or breakpoints.brand_id = brands.brand_id)
    qualify rank() over (
        partition by brands.brand_id, breakpoints.measure
        order by case when breakpoints.brand_id = '*' then 1 else 0 end
    ) = 1
{%- endmacro %}


{#- Join of the breakpoints of a measure to the customers. -#}
{% macro rfm_breakpoint_join(measure, value) -%}
    {%- if var('rfm_scheme') != 'quintile' -%}
    left join brand_breakpoints as {{ measure }}_breakpoints
        on
            netted.brand_id = {{ measure }}_breakpoints.brand_id
            and {{ measure }}_breakpoints.measure = '{{ measure }}'
            and netted.{{ value }} > {{ measure }}_breakpoints.above
            and netted.{{ value }} <= {{ measure }}_breakpoints.up_to
    {%- endif -%}
{%- endmacro %}
