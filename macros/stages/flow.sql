{#- Query: the flow of a model between any two days, one row per brand, from_stage and to_stage (`none` included).

    dbt show --inline "{{ quanyu.stage_flow('aipl', '2026-01-31', '2026-03-31') }}"

    The same in plain SQL, for a reader without dbt, is in docs/stages.md. -#}
{% macro stage_flow(model, from_date, to_date) -%}
    with on_from_date as (
        select
            brand_id,
            customer_key,
            stage
        from {{ ref('int_stages__spells') }}
        where
            model = '{{ model }}'
            and valid_from <= cast('{{ from_date }}' as date)
            and (valid_to is null or valid_to > cast('{{ from_date }}' as date))
    ),

    on_to_date as (
        select
            brand_id,
            customer_key,
            stage
        from {{ ref('int_stages__spells') }}
        where
            model = '{{ model }}'
            and valid_from <= cast('{{ to_date }}' as date)
            and (valid_to is null or valid_to > cast('{{ to_date }}' as date))
    )

    select
        coalesce(on_from_date.brand_id, on_to_date.brand_id) as brand_id,
        coalesce(on_from_date.stage, 'none') as from_stage,
        coalesce(on_to_date.stage, 'none') as to_stage,
        count(*) as customers
    from on_from_date
    full join on_to_date
        on
            on_from_date.brand_id = on_to_date.brand_id
            and on_from_date.customer_key = on_to_date.customer_key
    group by 1, 2, 3
{%- endmacro %}
