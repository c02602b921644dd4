{#- dbt's own date macros, for the way in which the models use them: whole days of dates, hours of timestamps. dbt-spark's
    go through seconds since 1970, which a timestamp without a zone is not. -#}
{% macro spark__dateadd(datepart, interval, from_date_or_timestamp) -%}
    {%- set months = {'month': 1, 'quarter': 3, 'year': 12} -%}
    {%- set days = {'day': 1, 'week': 7} -%}
    {%- if datepart in months -%}
        add_months({{ from_date_or_timestamp }}, cast({{ interval }} * {{ months[datepart] }} as int))
    {%- elif datepart in days -%}
        date_add({{ from_date_or_timestamp }}, cast({{ interval }} * {{ days[datepart] }} as int))
    {%- elif datepart == 'hour' -%}
        ({{ from_date_or_timestamp }} + make_dt_interval(0, cast({{ interval }} as int)))
    {%- else -%}
        {{ exceptions.raise_compiler_error('dateadd on Spark: no ' ~ datepart) }}
    {%- endif -%}
{%- endmacro %}


{#- Boundaries between two dates, as DuckDB counts them. -#}
{% macro spark__datediff(first_date, second_date, datepart) -%}
    {%- if datepart == 'day' -%}
        datediff({{ second_date }}, {{ first_date }})
    {%- elif datepart == 'month' -%}
        ((year({{ second_date }}) - year({{ first_date }})) * 12 + month({{ second_date }}) - month({{ first_date }}))
    {%- else -%}
        {{ exceptions.raise_compiler_error('datediff on Spark: no ' ~ datepart) }}
    {%- endif -%}
{%- endmacro %}


{% macro spark__last_day(date, datepart) -%}
    {%- if datepart == 'month' -%}
        last_day({{ date }})
    {%- elif datepart == 'quarter' -%}
        last_day(add_months(trunc({{ date }}, 'quarter'), 2))
    {%- else -%}
        {{ exceptions.raise_compiler_error('last_day on Spark: no ' ~ datepart) }}
    {%- endif -%}
{%- endmacro %}


{#- A date, as on DuckDB, and not the timestamp at which it begins. -#}
{% macro spark__date_trunc(datepart, date) -%}
    cast(date_trunc('{{ datepart }}', {{ date }}) as date)
{%- endmacro %}
