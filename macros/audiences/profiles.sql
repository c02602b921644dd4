{#- Probability of a chi-square of one degree of freedom at least this large by chance, right to 1e-7: twice the normal tail at
    its root, by formula 26.2.17 of Abramowitz and Stegun, Handbook of Mathematical Functions (1964). -#}
{% macro chi_square_p_value(chi_square) -%}
    {%- set t = '(1 / (1 + 0.2316419 * sqrt(' ~ chi_square ~ ')))' -%}
    least(1, 2 * exp(-{{ chi_square }} / 2) * 0.3989422804014327 * {{ t }} * (
        0.319381530 + {{ t }} * (-0.356563782 + {{ t }} * (1.781477937 + {{ t }} * (-1.821255978 + {{ t }} * 1.330274429)))
    ))
{%- endmacro %}


{#- Query: the rows of audience_profiles in which no number counts 1 to k-1 people, nor the difference of two numbers of the row;
    where that hides one value of a tag alone, the smallest other value goes with it, or subtraction would bring it back.
    k = 0 hides nothing. -#}
{% macro profiles_without_small_cells(relation, k) -%}
    select
        brand_id,
        audience,
        tag,
        tag_value,
        as_of_date,
        is_hidden as is_suppressed,
        {%- for column in ['customers', 'share', 'base_share', 'tgi', 'chi_square', 'p_value', 'is_significant'] %}
        case when not is_hidden then {{ column }} end as {{ column }},
        {%- endfor %}
        case when audience_customers >= {{ k }} then audience_customers end as audience_customers,
        case when not is_hidden then tag_customers end as tag_customers,
        base_customers
    from (
        select
            *,
            is_small or (
                small_cells = 1 and row_number() over (
                    partition by brand_id, audience, tag order by is_small, customers, tag_value
                ) = 1
            ) as is_hidden
        from (
            select
                *,
                sum(case when is_small then 1 else 0 end) over (partition by brand_id, audience, tag) as small_cells
            from (
                select
                    *,
                    coalesce(
                        customers < {{ k }}
                        or audience_customers < {{ k }}
                        or audience_customers - customers between 1 and {{ k }} - 1
                        or tag_customers - customers between 1 and {{ k }} - 1,
                        true
                    ) as is_small
                from {{ relation }}
            ) as judged
        ) as counted
    ) as decided
{%- endmacro %}


{#- Select list of the marts that show profiles. -#}
{% macro audience_profile_columns(relation) -%}
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(audience as {{ dbt.type_string() }}) as audience,
        cast(tag as {{ dbt.type_string() }}) as tag,
        cast(tag_value as {{ dbt.type_string() }}) as tag_value,
        as_of_date,
        cast(customers as bigint) as customers,
        cast(audience_customers as bigint) as audience_customers,
        cast(tag_customers as bigint) as tag_customers,
        cast(base_customers as bigint) as base_customers,
        {%- for figure in ['share', 'base_share', 'tgi', 'chi_square', 'p_value'] %}
        cast({{ figure }} as double) as {{ figure }},
        {%- endfor %}
        is_significant,
        is_suppressed
    from {{ relation }}
{%- endmacro %}
