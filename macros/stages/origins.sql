{#- Hook of int_stages__origins: the seed `channels` may give a channel another domain, which touches no customer. -#}
{% macro follow_channel_domains() %}
    {%- if is_incremental() -%}
    {%- set domain -%}
        coalesce(
            (select max(channels.domain) from {{ ref('channels') }} as channels where channels.channel = acquisition_channel),
            'unknown'
        )
    {%- endset -%}
    {%- do quanyu.set_column(this, 'acquisition_domain', domain) -%}
    {%- endif -%}
{% endmacro %}
