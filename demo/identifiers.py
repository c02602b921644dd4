"""Identifiers: which kinds a person can have, and how a value is written.

A value is a function of (seed, kind, owner): `owner` is a person's number, the number of the head
of a household for a shared device, or a negative number for a trap. Nothing is stored.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from demo.text import digits, hexes, mix, strings, unit, words
from demo.vocabulary import BRANDS, IDENTIFIER_TYPES, SOURCE_CODE

_BRANDED = len(BRANDS)
# Kinds in the order of their strength: the first one that a person has names the main piece.
KINDS = (
    ("member_id", "member_id"),
    ("phone", "phone"),
    ("second_phone", "phone"),
    ("email", "email"),
    ("unionid", "unionid"),
    *((f"openid_miniprogram_{brand.brand_id}", "openid") for brand in BRANDS),
    *((f"openid_account_{brand.brand_id}", "openid") for brand in BRANDS),
    *((f"external_userid_{brand.brand_id}", "external_userid") for brand in BRANDS),
    ("taobao_id", "taobao_id"),
    ("jd_id", "jd_id"),
    ("douyin_id", "douyin_id"),
    ("alipay_id", "alipay_id"),
    ("card_no", "card_no"),
    ("customer_no", "customer_no"),
    ("device_id", "device_id"),
    ("cookie_id", "cookie_id"),
    ("unlinked_cookie_id", "cookie_id"),
    ("trap_phone", "phone"),
    ("test_member", "member_id"),
)
KIND = {name: code for code, (name, _) in enumerate(KINDS)}
KIND_TYPE = np.array([IDENTIFIER_TYPES.index(kind) for _, kind in KINDS])
MEMBER, PHONE, PHONE2, EMAIL, UNIONID = range(5)
MINIPROGRAM, ACCOUNT, CONTACT = 5, 5 + _BRANDED, 5 + 2 * _BRANDED
TAOBAO, JD, DOUYIN = KIND["taobao_id"], KIND["jd_id"], KIND["douyin_id"]
ALIPAY, CARD, CUSTOMER = KIND["alipay_id"], KIND["card_no"], KIND["customer_no"]
DEVICE, COOKIE, LOOSE_COOKIE = KIND["device_id"], KIND["cookie_id"], KIND["unlinked_cookie_id"]
TRAP_PHONE, TEST_MEMBER = KIND["trap_phone"], KIND["test_member"]
PERSONAL_KINDS = TRAP_PHONE  # kinds below this one belong to people
WEAK_KINDS = (DEVICE, COOKIE, LOOSE_COOKIE)

HUB = -1  # owner of the phone 13800000000; shops' phones are -2, -3, ...
SURFACES = ("plain", "plus86", "zeros86", "spaced", "hyphens", "fullwidth", "md5", "sha256")
_PLAIN, _PLUS, _ZEROS, _SPACED, _HYPHENS, _FULLWIDTH, _MD5, _SHA256 = range(8)
_CRM_SURFACES = np.array([_PLAIN] * 12 + [_PLUS, _PLUS, _ZEROS, _SPACED, _SPACED, _HYPHENS] * 1)
_CRM_SURFACES = np.append(_CRM_SURFACES, [_HYPHENS, _FULLWIDTH])
_WIDTH = 64


def phone_numbers(owner: np.ndarray, second: bool = False) -> np.ndarray:
    """Phone numbers of 11 digits as integers, shape (n,).

    Prefixes 154, 161, 164 and 169 are no carrier's, 179 is the shops'; they pass a check on
    `1[3-9]` and ring nowhere.
    """
    person = np.maximum(owner, 0).astype(np.int64)
    prefix = np.where(person % 2 == 0, 164, 169) if second else np.where(person % 2 == 0, 154, 161)
    number = prefix * 100_000_000 + (person // 2 * 61_803_399 + 27_182_818) % 100_000_000
    trap = np.where(owner == HUB, 13_800_000_000, 17_900_000_000 - owner)
    return np.where(owner < 0, trap, number)


def surfaces(kind: np.ndarray, owner: np.ndarray, source: np.ndarray) -> np.ndarray:
    """How a source system writes an identifier: int8 of shape (n,), a position in SURFACES.

    Only phones and e-mails have several forms; 1 means odd letter case for an e-mail. A source
    always writes one owner's identifier in the same way.
    """
    kind, owner, source = (np.asarray(x) for x in np.broadcast_arrays(kind, owner, source))
    out = np.zeros(len(kind), dtype=np.int8)
    draw = unit(owner.astype(np.int64) * 32 + source, 77)
    is_phone = (kind == PHONE) | (kind == PHONE2) | (kind == TRAP_PHONE)
    crm = _CRM_SURFACES[(draw * len(_CRM_SURFACES)).astype(int)]
    by_source = {
        "ads": np.full(len(kind), _MD5),
        "jd": np.where(draw < 0.5, _SHA256, _PLAIN),
        "miniprogram": np.full(len(kind), _PLUS),
        "crm": crm,
        "pos": np.where(draw < 0.2, _HYPHENS, np.where(draw < 0.3, _SPACED, _PLAIN)),
    }
    for name, form in by_source.items():
        out = np.where(is_phone & (source == SOURCE_CODE[name]), form, out)
    # A trap is typed by hand at a till; a hash of it would be a third kind of trap.
    out = np.where((kind == TRAP_PHONE) & (out >= _MD5), _PLAIN, out)
    out = np.where((kind == EMAIL) & (draw < 0.15), 1, out)
    return out.astype(np.int8)


def _write_phones(number: np.ndarray, surface: np.ndarray, out: np.ndarray) -> np.ndarray:
    plain = digits(number, 11)
    lengths = np.full(len(number), 11)
    out[:, :11] = plain
    for form, prefix, groups in (
        (_PLUS, b"+86", ((0, 11),)),
        (_ZEROS, b"0086", ((0, 11),)),
        (_SPACED, b"+86 ", ((0, 3), (3, 7), (7, 11))),
        (_HYPHENS, b"", ((0, 3), (3, 7), (7, 11))),
    ):
        rows = np.flatnonzero(surface == form)
        if not len(rows):
            continue
        at = len(prefix)
        out[rows, :at] = np.frombuffer(prefix, dtype=np.uint8)
        for first, last in groups:
            out[rows, at : at + last - first] = plain[rows, first:last]
            at += last - first
            if last < 11:
                out[rows, at] = ord(" ") if form == _SPACED else ord("-")
                at += 1
        lengths[rows] = at
    rows = np.flatnonzero(surface == _FULLWIDTH)
    if len(rows):
        # U+FF10 to U+FF19 are EF BC 90 to EF BC 99 in UTF-8.
        wide = np.empty((len(rows), 11, 3), dtype=np.uint8)
        wide[:, :, 0], wide[:, :, 1] = 0xEF, 0xBC
        wide[:, :, 2] = plain[rows] - ord("0") + 0x90
        out[rows, :33] = wide.reshape(len(rows), 33)
        lengths[rows] = 33
    for form, algorithm, width in ((_MD5, hashlib.md5, 32), (_SHA256, hashlib.sha256, 64)):
        rows = np.flatnonzero(surface == form)
        if len(rows):
            unique, back = np.unique(number[rows], return_inverse=True)
            text = b"".join(algorithm(b"%d" % n).hexdigest().encode() for n in unique)
            table = np.frombuffer(text, dtype=np.uint8).reshape(-1, width)
            out[rows, :width] = table[back]
            lengths[rows] = width
    return lengths


def _write_kind(kind, owner, surface, seed, out) -> np.ndarray:
    """Write the values of one kind into `out` (n, 64); lengths (n,) come back."""
    if kind in (PHONE, PHONE2, TRAP_PHONE):
        return _write_phones(phone_numbers(owner, kind == PHONE2), surface, out)
    salt = seed * 64 + kind
    hashed = mix(owner, salt)
    spread = (np.abs(owner) * 738_241_931 + seed % 1_000_003) % 1_000_000_000

    def put(*parts) -> np.ndarray:
        at = 0
        for part in parts:
            if isinstance(part, bytes):
                part = np.frombuffer(part, dtype=np.uint8)
            width = part.shape[-1]
            out[:, at : at + width] = part
            at += width
        return np.full(len(out), at)

    name = KINDS[kind][0]
    if kind == MEMBER:
        return put(b"M", digits(spread, 9))
    if kind == TEST_MEMBER:
        return put(b"TEST", digits(-owner, 4))
    if kind == EMAIL:
        lengths = put(b"u", hexes(hashed, 12), b"@example.com")
        odd = np.flatnonzero(surface == 1)
        out[odd, 0] = ord("U")
        out[odd, 14] = ord("E")
        return lengths
    if kind == UNIONID:
        return put(b"oU", hexes(hashed), hexes(mix(owner, salt + 7_919), 10))
    if name.startswith("openid"):
        return put(b"wx", hexes(_scope(kind, seed)), b":o", hexes(hashed))
    if name.startswith("external"):
        return put(b"ww", hexes(_scope(kind, seed)), b":wm", hexes(hashed))
    if kind == TAOBAO:
        return put(b"22", digits(spread, 9))
    if kind == JD:
        return put(b"jd_", hexes(hashed, 12))
    if kind == DOUYIN:
        return put(b"dy", digits(spread, 9), b"7")
    if kind == ALIPAY:
        return put(b"2088", digits(spread, 12))
    if kind == CARD:
        return put(b"66", digits(spread, 10))
    if kind == CUSTOMER:
        return put(b"K", digits(spread, 9))
    return put(b"app:" if kind == DEVICE else b"web:", hexes(hashed))


def _scope(kind: int, seed: int) -> np.ndarray:
    return mix(np.array([kind]), seed + 4_242)


def values(kind: np.ndarray, owner: np.ndarray, surface: np.ndarray, seed: int) -> pa.Array:
    """Identifier values as landed, shape (n,); a negative kind is NULL."""
    out = np.zeros((len(kind), _WIDTH), dtype=np.uint8)
    lengths = np.zeros(len(kind), dtype=np.int64)
    order = np.argsort(kind, kind="stable")
    bounds = np.searchsorted(kind[order], np.arange(len(KINDS) + 1))
    for code in range(len(KINDS)):
        rows = order[bounds[code] : bounds[code + 1]]
        if len(rows):
            block = np.zeros((len(rows), _WIDTH), dtype=np.uint8)
            lengths[rows] = _write_kind(
                code, owner[rows].astype(np.int64), surface[rows], seed, block
            )
            out[rows] = block
    return strings(out, lengths, kind < 0)


def types(kind: np.ndarray) -> pa.Array:
    """Identifier types, shape (n,); a negative kind is NULL."""
    return words(IDENTIFIER_TYPES, np.where(kind < 0, -1, KIND_TYPE[kind]))
