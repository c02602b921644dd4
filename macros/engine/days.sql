{#- Days as whole numbers: arithmetic on them is the same, and as fast, on every engine. Day 0 is 0001-01-01. -#}
{% macro day_number(date) %}{{ return(adapter.dispatch('day_number', 'quanyu')(date)) }}{% endmacro %}

{% macro default__day_number(date) -%}
    datediff({{ date }}, date '0001-01-01')
{%- endmacro %}

{% macro duckdb__day_number(date) -%}
    cast({{ date }} - date '0001-01-01' as integer)
{%- endmacro %}


{#- The date of a day number; NULL for the number that stands for never ending. -#}
{% macro day_date(number) -%}
    case
        when {{ number }} < {{ quanyu.far_day() }}
            then {{ quanyu.add_days("date '0001-01-01'", number) }}
    end
{%- endmacro %}

{#- 9999-12-31. -#}
{% macro far_day() %}{{ return(3652058) }}{% endmacro %}


{#- Query: one row per whole number from `first` to `last`, both SQL expressions, in the column `n`. -#}
{% macro numbers(first, last) %}{{ return(adapter.dispatch('numbers', 'quanyu')(first, last)) }}{% endmacro %}

{% macro default__numbers(first, last) -%}
    select explode(case when {{ first }} <= {{ last }} then sequence({{ first }}, {{ last }}) end) as n
{%- endmacro %}

{% macro duckdb__numbers(first, last) -%}
    select cast(unnest(range({{ first }}, {{ last }} + 1)) as integer) as n
{%- endmacro %}

{% macro far_date() %}{{ return("date '9999-12-31'") }}{% endmacro %}
