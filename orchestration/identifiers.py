"""Identifiers as the warehouse keeps them, as SQL for DuckDB: normalised, and as a key."""


def normalised(normaliser: str, x: str) -> str:
    """SQL of macros/landing/normalise.sql: the value `x` (trimmed) under a normaliser, both SQL."""
    digits = (
        f"regexp_replace(regexp_replace(translate({x}, '０１２３４５６７８９', '0123456789'), '[^0-9]', '', 'g'),"
        r" '^(0086|86)(1[0-9]{10})$', '\2')"
    )
    return (
        f"case {normaliser} when 'phone' then case"
        f" when regexp_matches({x}, '^([0-9a-fA-F]{{32}}|[0-9a-fA-F]{{64}})$') then lower({x})"
        f" else nullif({digits}, '') end when 'email' then lower({x}) else {x} end"
    )


def key_of(identifier_type: str, identifier_value: str) -> str:
    """SQL of an identifier's key (macros/engine/hash.sql); NULL without a value."""
    return (
        f"case when {identifier_value} is not null then cast(md5_number_upper("
        f"concat_ws('|', {identifier_type}, {identifier_value})) >> 1 as bigint) end"
    )
