-- Fails for a spelling of a phone number that does not become its 11 digits.
-- Why: one person written two ways would be two customers.
with spellings (landed, expected) as (
    values
    ('13912345678', '13912345678'),
    ('+8613912345678', '13912345678'),
    ('+86 139 1234 5678', '13912345678'),
    ('008613912345678', '13912345678'),
    ('(86)139-1234-5678', '13912345678'),
    ('１３９１２３４５６７８', '13912345678'),
    ('　13912345678　', '13912345678'),
    -- not a mobile number of mainland China: its digits are kept, nothing is guessed
    ('021-62345678', '02162345678'),
    ('+1 415 555 0100', '14155550100'),
    -- digests stay what they are
    ('D41D8CD98F00B204E9800998ECF8427E', 'd41d8cd98f00b204e9800998ecf8427e'),
    -- nothing left is no phone
    ('n/a', null),
    ('', null)
),

cleaned as (
    select
        landed,
        expected,
        {{ quanyu.clean_text('landed') }} as cleaned
    from spellings
),

normalised as (
    select
        landed,
        expected,
        {{ quanyu.normalise_phone('cleaned') }} as phone
    from cleaned
)

select * from normalised
where phone is distinct from expected
