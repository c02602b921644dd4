{#- True for the spell of `owner`, rows of int_identity__resolution, in which a moment falls: a device belongs to the person
    linked to it last at or before the moment, else to the first one after. The spells of an identifier cover all time,
    so that a moment finds exactly one. Stands in `where`, also after a left join, which an identifier without an owner
    passes: as a condition of the join its ORs made 5.6 million events cost 28 s of CPU instead of 0.5. -#}
{% macro owned_at(moment, owner) -%}
    ({{ owner }}.valid_from is null or {{ moment }} >= {{ owner }}.valid_from)
    and ({{ owner }}.valid_to is null or {{ moment }} < {{ owner }}.valid_to)
{%- endmacro %}
