{#- Formulas of BG/NBD and Gamma-Gamma (METRICS section 9), once. -#}

{#- Days ahead for which a fit predicts: the months of the discounted value and the published horizons; the
    hold-out for the calibration. -#}
{% macro clv_horizons() -%}
    {%- set horizons = [30, 90, 180, 365] -%}
    {%- for month in range(1, var('clv_months') + 1) -%}
        {%- if 30 * month not in horizons -%}{%- do horizons.append(30 * month) -%}{%- endif -%}
    {%- endfor -%}
    {{- return(horizons | sort) -}}
{%- endmacro %}


{#- Probability that a customer is still a customer. In logs: the power overflows for frequent buyers long gone. -#}
{% macro clv_p_alive(r, alpha, a, b, frequency, recency, age) -%}
    case
        when {{ frequency }} = 0 then cast(1 as double)
        else 1 / (
            1 + {{ a }} / ({{ b }} + {{ frequency }} - 1)
            * exp(least(700, ({{ r }} + {{ frequency }}) * ln(({{ alpha }} + {{ age }}) / ({{ alpha }} + {{ recency }}))))
        )
    end
{%- endmacro %}


{#- Terms of the series that leave less than double precision. Its terms are at most those of a negative binomial
    distribution of this shape and chance z: mean, nine deviations, and the geometric tail z^n < e^-40. 40 terms at
    z = 0.3, 300 at 0.86, 15,000 at 0.9973 (alpha one day, customer of today, one year ahead). -#}
{% macro clv_terms(shape, z) -%}
    cast(ceil(
        8 + 40 / -ln({{ z }}) + ({{ shape }} * {{ z }} + 9 * sqrt({{ shape }} * {{ z }})) / (1 - {{ z }})
    ) as bigint)
{%- endmacro %}


{#- Which of the two series int_clv__expected_orders uses: directly where the other would grow or alternate. -#}
{% macro clv_is_direct(r, a, b, frequency) -%}
    ({{ a }} > {{ r }} + {{ frequency }} + 2 or {{ r }} > {{ a }} + {{ b }} + 1)
{%- endmacro %}


{#- Expected money of an order of a customer with `frequency` repeat purchases that came to `amount`. -#}
{% macro clv_order_value(p, q, v, frequency, amount) -%}
    {{ p }} * ({{ v }} + {{ amount }}) / ({{ p }} * {{ frequency }} + {{ q }} - 1)
{%- endmacro %}
