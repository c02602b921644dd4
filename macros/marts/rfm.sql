{#- Scores of RFM under the scheme of the var rfm_scheme. Equal values always get equal scores: `fixed` and `custom`
    look the value up in the seed rfm_breakpoints, `quintile` cuts by rank with ties together at the low end. -#}

{#- CTEs that end in `scored`: the rows of `customers` with r_score, f_score and m_score. -#}
{% macro rfm_scored(customers) -%}
{%- set scheme = var('rfm_scheme') -%}
{%- if scheme not in ('fixed', 'custom', 'quintile') and execute -%}
    {{ exceptions.raise_compiler_error("var rfm_scheme is `" ~ scheme ~ "`: use fixed, quintile or custom") }}
{%- endif -%}
{#- Measure, its column, the direction in which a value gets better. -#}
{%- set measures = [
    ('recency', 'recency_days', 'desc'), ('frequency', 'frequency', 'asc'), ('monetary', 'monetary_amount', 'asc')
] -%}
{%- if scheme == 'quintile' -%}
{%- for measure, value, order in measures %}
{{ measure }}_scores as (
    {{ quanyu.rfm_quintiles(customers, value, order) }}
),
{% endfor -%}
{%- else -%}
brand_breakpoints as (
    {{ quanyu.rfm_brand_breakpoints(customers) }}
),
{% endif %}
scored as (
    select
        {{ customers }}.*
        {%- for measure, _, _ in measures %},
        {{ measure }}_scores.score as {{ measure[0] }}_score
        {%- endfor %}
    from {{ customers }}
    {%- for measure, value, _ in measures %}
    {%- if scheme == 'quintile' %}
    inner join {{ measure }}_scores
        on
            {{ customers }}.population_number = {{ measure }}_scores.population_number
            and {{ customers }}.{{ value }} = {{ measure }}_scores.{{ value }}
    {%- else %}
    left join brand_breakpoints as {{ measure }}_scores
        on
            {{ customers }}.brand_id = {{ measure }}_scores.brand_id
            and {{ measure }}_scores.measure = '{{ measure }}'
            and {{ customers }}.{{ value }} > {{ measure }}_scores.above
            and {{ customers }}.{{ value }} <= {{ measure }}_scores.up_to
    {%- endif %}
    {%- endfor %}
)
{%- endmacro %}


{#- Query: the score of every value that occurs in a population. There are far fewer values than customers, so that who is
    before a value is added up from counts; a rank would sort everybody. -#}
{% macro rfm_quintiles(customers, value, order) -%}
    select
        population_number,
        {{ value }},
        least(5, 1 + cast(floor(coalesce(5 * (up_to_here - here) / nullif(everybody - 1, 0), 0)) as integer)) as score
    from (
        select
            population_number,
            {{ value }},
            count(*) as here,
            sum(count(*)) over (partition by population_number order by {{ value }} {{ order }}) as up_to_here,
            sum(count(*)) over (partition by population_number) as everybody
        from {{ customers }}
        group by population_number, {{ value }}
    ) as counted
{%- endmacro %}


{#- Query: the breakpoints of every brand. A brand with breakpoints of its own for a measure uses those alone, the
    others use those of the brand `*`. -#}
{% macro rfm_brand_breakpoints(customers) -%}
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
