{#- The stage engine, first half: the seeds stage_models, stages, stage_rules and stage_behaviours, read when a model
    runs and turned into a plan. Nothing here knows any model by name; a new model is rows in these seeds.

    An atom is the smallest thing that a rule can ask about a day (an event type, an event type with a bound on its
    value, a valid purchase, a member join, a delivered message, an accepted referral). Every atom that some rule uses
    has one bit of customer_day.behaviours. Days are whole numbers here (macros/engine/days.sql). -#}


{#- Rows of a seed as dicts of texts (NULL is ''). Read by its place, not by ref: the rules are no input rows, and a
    unit test that gives other rows for a seed must not change the SQL it tests. -#}
{% macro seed_rows(seed, columns, order_by) %}
    {%- set node = graph.nodes.values()
        | selectattr('resource_type', 'equalto', 'seed') | selectattr('name', 'equalto', seed) | first -%}
    {%- set rows = [] -%}
    {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
    {%- if relation -%}
        {%- set found = run_query(
            'select ' ~ columns | join(', ') ~ ' from ' ~ relation ~ ' order by ' ~ order_by | join(', ')) -%}
        {%- for found_row in found.rows -%}
            {%- set row = {} -%}
            {%- for column in columns -%}
                {%- set value = found_row[loop.index0] -%}
                {%- do row.update({column: '' if value is none else value | string | trim}) -%}
            {%- endfor -%}
            {%- do rows.append(row) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(rows) }}
{% endmacro %}


{#- The kinds of relationship, one bit each of customer_day.relationships. -#}
{% macro relationship_bits() %}
    {{ return({'member': 1, 'follower': 2, 'wecom_contact': 4, 'group_member': 8}) }}
{% endmacro %}


{#- {atoms: [{key, bit, source, name, value_from, value_below, value_unknown}], rulesets: [{model, version, from_day,
    to_day, is_published, stages: [{stage, rank, groups: [[condition]]}] by falling rank}], hash}.
    A condition: {kind: last | second | cycle | sum | live, mask, days (of the window; '' = ever), measure, least}.
    Stops with a sentence when the seeds contradict each other. Made once per invocation: whoever asks for it depends on
    the seeds, so they have been loaded. -#}
{% macro stage_plan() %}
    {%- if not execute -%}{{ return({'atoms': [], 'rulesets': [], 'hash': 0}) }}{%- endif -%}
    {%- set remembered = quanyu.remembered() -%}
    {%- if 'stage_plan' not in remembered -%}
        {%- do remembered.update({'stage_plan': quanyu.read_stage_plan()}) -%}
    {%- endif -%}
    {{ return(remembered.stage_plan) }}
{% endmacro %}


{% macro read_stage_plan() %}
    {%- set behaviours = {} -%}
    {%- for row in quanyu.seed_rows('stage_behaviours',
            ['behaviour', 'source', 'name', 'value_from', 'value_below', 'value_unknown'],
            ['behaviour', 'source', 'name', 'value_from', 'value_below']) -%}
        {%- if row.source not in ('touchpoint', 'purchase', 'membership', 'message', 'referral', 'relationship')
                or row.source == 'relationship' and row.name not in quanyu.relationship_bits() -%}
            {{ exceptions.raise_compiler_error("stage_behaviours: `" ~ row.behaviour ~ "` names `" ~ row.source ~ " "
                ~ row.name ~ "`, which does not exist") }}
        {%- endif -%}
        {%- do behaviours.setdefault(row.behaviour, []).append(row) -%}
    {%- endfor -%}
    {%- for row in quanyu.seed_rows('event_types', ['event_type'], ['event_type']) if row.event_type not in behaviours -%}
        {%- do behaviours.update({row.event_type: [{
            'behaviour': row.event_type, 'source': 'touchpoint', 'name': row.event_type,
            'value_from': '', 'value_below': '', 'value_unknown': ''}]}) -%}
    {%- endfor -%}

    {%- set rules = quanyu.seed_rows('stage_rules',
        ['model', 'version', 'stage', 'rule_group', 'condition', 'behaviour', 'measure', 'min_value', 'window_days'],
        ['model', 'version', 'stage', 'rule_group', 'condition']) -%}
    {%- set stages = quanyu.seed_rows('stages', ['model', 'stage', 'rank'], ['model', 'rank desc']) -%}
    {%- set models = quanyu.seed_rows('stage_models', ['model', 'version', 'in_force_from', 'is_published'],
        ['model', 'version']) -%}

    {#- Bits of the atoms in use. -#}
    {%- set atom_keys = [] -%}
    {%- for rule in rules -%}
        {%- if rule.behaviour not in behaviours -%}
            {{ exceptions.raise_compiler_error("stage_rules: " ~ rule.model ~ " " ~ rule.stage ~ " asks for `"
                ~ rule.behaviour ~ "`, which is neither in stage_behaviours nor an event type") }}
        {%- endif -%}
        {%- if rule.measure not in ('events', 'days', 'amount', 'cycle', 'relationship') -%}
            {{ exceptions.raise_compiler_error("stage_rules: " ~ rule.model ~ " " ~ rule.stage ~ " has the measure `"
                ~ rule.measure ~ "`: use events, days, amount, cycle or relationship") }}
        {%- endif -%}
        {%- for part in behaviours[rule.behaviour] -%}
            {%- if (part.source == 'relationship') != (rule.measure == 'relationship') -%}
                {{ exceptions.raise_compiler_error("stage_rules: " ~ rule.model ~ " " ~ rule.stage ~ ": `"
                    ~ rule.behaviour ~ "` cannot be measured by `" ~ rule.measure ~ "`") }}
            {%- endif -%}
            {%- set key = quanyu.atom_key(part) -%}
            {%- if part.source != 'relationship' and key not in atom_keys -%}
                {%- do atom_keys.append(key) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if atom_keys | length > 62 -%}
        {{ exceptions.raise_compiler_error("stage_rules use " ~ atom_keys | length ~ " different behaviours; 62 fit") }}
    {%- endif -%}
    {%- set bits = {} -%}
    {%- for key in atom_keys | sort -%}{%- do bits.update({key: 2 ** loop.index0}) -%}{%- endfor -%}
    {%- set atoms = {} -%}
    {%- for parts in behaviours.values() -%}
        {%- for part in parts if part.source != 'relationship' and quanyu.atom_key(part) in bits -%}
            {%- set key = quanyu.atom_key(part) -%}
            {%- do atoms.update({key: dict(part, key=key, bit=bits[key])}) -%}
        {%- endfor -%}
    {%- endfor -%}

    {%- set rulesets = [] -%}
    {%- for model in models -%}
        {%- set later = models | selectattr('model', 'equalto', model.model)
            | map(attribute='in_force_from') | select('greaterthan', model.in_force_from) | sort -%}
        {%- if models | selectattr('model', 'equalto', model.model)
                | selectattr('in_force_from', 'equalto', model.in_force_from) | list | length > 1 -%}
            {{ exceptions.raise_compiler_error("stage_models: two versions of " ~ model.model
                ~ " are in force from the same day; drop the old one to restate its history, or date the new one to keep it") }}
        {%- endif -%}
        {%- set known_stages = [] -%}
        {%- for stage in stages if stage.model == model.model -%}
            {%- if not 0 < stage.rank | int < 64 -%}
                {{ exceptions.raise_compiler_error("stages: " ~ model.model ~ " " ~ stage.stage ~ " has the rank "
                    ~ stage.rank ~ "; use 1 to 63") }}
            {%- endif -%}
            {%- set groups = {} -%}
            {%- for rule in rules if rule.model == model.model and rule.version == model.version
                    and rule.stage == stage.stage -%}
                {%- do groups.setdefault(rule.rule_group, []).append(
                    quanyu.stage_condition(rule, behaviours[rule.behaviour], bits)) -%}
            {%- endfor -%}
            {%- do known_stages.append({'stage': stage.stage, 'rank': stage.rank | int,
                'groups': groups.values() | list}) -%}
        {%- endfor -%}
        {%- do rulesets.append({
            'number': loop.index, 'model': model.model, 'version': model.version,
            'from_day': model.in_force_from, 'to_day': later | first if later else '',
            'is_published': model.is_published | lower == 'true', 'stages': known_stages,
        }) -%}
    {%- endfor -%}
    {%- for rule in rules
            if not stages | selectattr('model', 'equalto', rule.model) | selectattr('stage', 'equalto', rule.stage) | list
            or not models | selectattr('model', 'equalto', rule.model) | selectattr('version', 'equalto', rule.version) | list -%}
        {{ exceptions.raise_compiler_error("stage_rules: " ~ rule.model ~ " version " ~ rule.version ~ " " ~ rule.stage
            ~ " has no row in stages or stage_models") }}
    {%- endfor -%}
    {%- set plan = {'atoms': atoms.values() | list, 'rulesets': rulesets} -%}
    {%- do plan.update({'hash': local_md5(tojson([plan, var('count_anonymous_visitors')], sort_keys=true))[:15] | int(base=16)}) -%}
    {{ return(plan) }}
{% endmacro %}


{% macro atom_key(part) -%}
    {{- return([part.source, part.name, part.value_from, part.value_below, part.value_unknown | lower] | join(':')) -}}
{%- endmacro %}


{#- A rule as a condition of the plan. -#}
{% macro stage_condition(rule, parts, bits) %}
    {%- set mask = namespace(value=0) -%}
    {%- for part in parts -%}
        {%- if part.source == 'relationship' -%}
            {%- set mask.value = mask.value + quanyu.relationship_bits()[part.name] -%}
        {%- else -%}
            {%- set mask.value = mask.value + bits[quanyu.atom_key(part)] -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set least = rule.min_value | float if rule.min_value else 1.0 -%}
    {%- if rule.measure == 'relationship' -%}{%- set kind = 'live' -%}
    {%- elif rule.measure == 'cycle' -%}{%- set kind = 'cycle' -%}
    {%- elif rule.measure in ('events', 'days') and least <= 1 -%}{%- set kind = 'last' -%}
    {%- elif rule.measure == 'days' and least <= 2 -%}{%- set kind = 'second' -%}
    {%- else -%}{%- set kind = 'sum' -%}
    {%- endif -%}
    {{ return({'kind': kind, 'mask': mask.value, 'days': rule.window_days, 'measure': rule.measure, 'least': least}) }}
{% endmacro %}


{#- Bits of one touch-point: the atoms that its type and value make. -#}
{% macro touchpoint_bits(plan, event_type, event_value) -%}
    {%- set plain = [] -%}
    {%- set bounded = [] -%}
    {%- set always = namespace(bit=0) -%}
    {%- for atom in plan.atoms if atom.source == 'touchpoint' -%}
        {%- if atom.name == '*' -%}
            {%- set always.bit = atom.bit -%}
        {%- elif atom.value_from or atom.value_below -%}
            {%- do bounded.append(atom) -%}
        {%- else -%}
            {%- do plain.append(atom) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ always.bit }}
    {%- if plain %}
    {%- set numbers = {} %}
    {%- for atom in plain %}{% do numbers.update({atom.name: atom.bit}) %}{% endfor %}
    | {{ quanyu.lookup(event_type, numbers) }}
    {%- endif %}
    {%- for atom in bounded %}
    {%- set bounds = [] -%}
    {%- if atom.value_from %}{% do bounds.append(event_value ~ ' >= ' ~ atom.value_from) %}{% endif -%}
    {%- if atom.value_below %}{% do bounds.append(event_value ~ ' < ' ~ atom.value_below) %}{% endif %}
    | case
        when {{ event_type }} = '{{ atom.name }}' and coalesce(
            {{ bounds | join(' and ') }}, {{ 'true' if atom.value_unknown | lower == 'true' else 'false' }}
        ) then {{ atom.bit }}
        else 0
    end
    {%- endfor -%}
{%- endmacro %}


{#- Bit of the one atom of a source that is no touch-point; 0 when no rule asks for it. -#}
{% macro source_bit(plan, source, name) -%}
    {%- set found = plan.atoms | selectattr('source', 'equalto', source) | selectattr('name', 'equalto', name) | list -%}
    {{- return(found[0].bit if found else 0) -}}
{%- endmacro %}


{#- Mask of customer_day.behaviours for a behaviour of the seed stage_behaviours, its purchases left out (they are
    judged by customer_day.purchase_valid_to). Some rule must ask for every part of it. -#}
{% macro behaviour_mask(plan, behaviour) %}
    {%- set mask = namespace(value=0) -%}
    {%- for row in quanyu.seed_rows('stage_behaviours',
            ['behaviour', 'source', 'name', 'value_from', 'value_below', 'value_unknown'], ['behaviour', 'source', 'name'])
            if row.behaviour == behaviour and row.source != 'purchase' -%}
        {%- set found = plan.atoms | selectattr('key', 'equalto', quanyu.atom_key(row)) | list -%}
        {%- if not found -%}
            {{ exceptions.raise_compiler_error("no rule of stage_rules uses all parts of `" ~ behaviour ~ "`") }}
        {%- endif -%}
        {%- set mask.value = mask.value + found[0].bit -%}
    {%- endfor -%}
    {{ return(mask.value) }}
{% endmacro %}
