-- Fails for a landed time that does not become the business time it stands for, or that is guessed at.
-- Why: a day cut in the wrong zone moves every window by a day.
with spellings (landed, expected) as (
    values
    -- without an offset: business time already
    ('2026-01-31 18:30:00', '2026-01-31 18:30:00'),
    ('2026-01-31T18:30:00', '2026-01-31 18:30:00'),
    ('2026-01-31 18:30', '2026-01-31 18:30:00'),
    ('2026-01-31', '2026-01-31 00:00:00'),
    ('2026-01-31 18:30:00.250', '2026-01-31 18:30:00.25'),
    -- with one: converted (the tests run with the default zone, Asia/Shanghai)
    ('2026-01-31T18:30:00Z', '2026-02-01 02:30:00'),
    ('2026-01-31 18:30:00+00', '2026-02-01 02:30:00'),
    ('2026-01-31T18:30:00+08:00', '2026-01-31 18:30:00'),
    ('2026-01-31T18:30:00+0800', '2026-01-31 18:30:00'),
    ('2026-01-31T18:30:00.5-05:00', '2026-02-01 07:30:00.5'),
    ('2026-01-31T18:30+08', '2026-01-31 18:30:00'),
    ('2026-01-31 18:30:00 +08:00', '2026-01-31 18:30:00'),
    ('2026-01-31T10:30Z', '2026-01-31 18:30:00'),
    -- no ISO 8601, no time
    ('2026/01/31 18:30:00', null),
    ('31.01.2026', null),
    ('20260131', null),
    ('2026-02-30 00:00:00', null),
    ('2026-01-31 25:00:00', null),
    ('infinity', null),
    ('epoch', null),
    ('not a date', null)
),

read as (
    select
        landed,
        cast(expected as {{ quanyu.type_local_timestamp() }}) as expected,
        {{ quanyu.business_timestamp('landed') }} as business_time
    from spellings
)

select * from read
where business_time is distinct from expected
