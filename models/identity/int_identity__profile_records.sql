-- Grain: one row per identifier that joins people and has a profile dated up to the as-of date.
-- Why: what probabilistic matching compares, in parts: of a name its given name and surname, of an address its house
--      number, postcode and the words between them. Of several profiles of one identifier the newest speaks.
-- Not here: the matching (identity_probable_pairs); this view is personal data and read only when that is switched on.
{{ config(materialized='view') }}
{%- set digest = quanyu.digest_pattern() %}
{%- set separators = "'[^0-9a-z一-鿿]+'" %}
{%- set compound = "'^(欧阳|司马|上官|诸葛|夏侯|皇甫|尉迟|公孙|慕容|令狐|司徒|东方|独孤|南宫|端木|长孙|宇文)'" %}

with profiles as (
    select * from {{ ref('stg_landing__profiles') }}
    where updated_at is null or cast(updated_at as date) <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

identifier_types as (
    select identifier_type from {{ ref('identifier_types') }}
    where joins_people
),

newest as (
    select
        profiles.*,
        trim({{ quanyu.regexp_replace_all('lower(profiles.name)', separators, "' '") }}) as plain_name,
        trim({{ quanyu.regexp_replace_all('lower(profiles.address)', separators, "' '") }}) as plain_address
    from profiles
    inner join identifier_types on profiles.identifier_type = identifier_types.identifier_type
    qualify row_number() over (
        partition by profiles.identifier_key
        order by profiles.updated_at desc nulls last, profiles.source_system asc
    ) = 1
),

-- A name without a blank is a Chinese one, surname first, or a surname alone.
surnames as (
    select
        *,
        case
            when plain_name like '% %'
                then {{ quanyu.regexp_replace_all('plain_name', "'^.* '", "''") }}
            when {{ quanyu.regexp_like('plain_name', "'^[一-鿿]{2,4}$'") }}
                then
                    case
                        when length(plain_name) > 2 and {{ quanyu.regexp_like('plain_name', compound) }}
                            then substring(plain_name, 1, 2)
                        else substring(plain_name, 1, 1)
                    end
            else plain_name
        end as surname
    from newest
),

int_identity__profile_records as (
    select
        identifier_key,
        identifier_type,
        source_system,
        nullif(plain_name, '') as name,
        nullif(
            case
                when plain_name like '% %' then {{ quanyu.regexp_replace_all('plain_name', "' .*$'", "''") }}
                when plain_name <> surname then substring(plain_name, length(surname) + 1)
            end, ''
        ) as given_name,
        nullif(surname, '') as surname,
        gender,
        cast(birth_date as {{ dbt.type_string() }}) as birth_date,
        case when not {{ quanyu.regexp_like('phone', digest) }} then phone end as phone,
        case when not {{ quanyu.regexp_like('email', digest) }} then email end as email,
        lower(province) as province,
        lower(city) as city,
        case
            when {{ quanyu.regexp_like('plain_address', "'^[0-9]+ '") }}
                then {{ quanyu.regexp_replace_all('plain_address', "' .*$'", "''") }}
        end as house_number,
        nullif(trim({{ quanyu.regexp_replace_all(
            quanyu.regexp_replace_all('plain_address', "'^[0-9]+ '", "''"), "' [0-9]{4,6}$'", "''"
        ) }}), '') as street,
        case
            when {{ quanyu.regexp_like('plain_address', "' [0-9]{4,6}$'") }}
                then {{ quanyu.regexp_replace_all('plain_address', "'^.* '", "''") }}
        end as postcode
    from surnames
)

select * from int_identity__profile_records
