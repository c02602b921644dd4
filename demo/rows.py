"""Rows of codes and numbers that the world is made of, and the draws that fill them.

Events are structured NumPy arrays (see ROWS) of codes and numbers. Times are seconds since local
midnight of the world's first day, -1 for none; amounts are integer cents; codes are positions in
the tuples of `demo.vocabulary`, -1 for none. `day` is the day on which a row is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from demo import identifiers as ids
from demo.people import Population
from demo.text import DAY_SECONDS, mix
from demo.vocabulary import (
    BRANDS,
    PRODUCTS_PER_CATEGORY,
    STAFF_PER_BRAND,
)

_IDENTIFIER = [("owner", "i4"), ("kind", "i1"), ("surface", "i1")]
ROWS = {
    "touchpoints": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        *_IDENTIFIER,
        ("brand", "i1"),
        ("source", "i1"),
        ("event", "i1"),
        ("channel", "i1"),
        ("product", "i2"),
        ("campaign", "i2"),
        ("content", "i4"),
        ("store", "i2"),
        ("staff", "i2"),
        ("value", "i4"),
    ],
    "orders": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("order", "i8"),
        *_IDENTIFIER,
        ("brand", "i1"),
        ("source", "i1"),
        ("channel", "i1"),
        ("status", "i1"),
        ("paid", "i4"),
        ("store", "i2"),
        ("staff", "i2"),
        ("amount", "i8"),
        ("discount", "i8"),
        ("campaign", "i2"),
        ("coupon", "i2"),
        ("final", "?"),
    ],
    "order_lines": [
        ("day", "i2"),
        ("t", "i4"),
        ("order", "i8"),
        ("source", "i1"),
        ("line", "i1"),
        ("product", "i2"),
        ("quantity", "i2"),
        ("amount", "i8"),
    ],
    "refunds": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("refund", "i8"),
        ("order", "i8"),
        *_IDENTIFIER,
        ("brand", "i1"),
        ("source", "i1"),
        ("amount", "i8"),
    ],
    "memberships": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("brand", "i1"),
        ("event", "i1"),
        ("tier", "i1"),
        ("channel", "i1"),
        ("store", "i2"),
        ("staff", "i2"),
        *_IDENTIFIER,
    ],
    "identity_links": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("source", "i1"),
        *_IDENTIFIER,
        ("kind2", "i1"),
        ("owner2", "i4"),
        ("surface2", "i1"),
    ],
    "profiles": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("source", "i1"),
        *_IDENTIFIER,
        ("phone_kind", "i1"),
        ("phone_owner", "i4"),
        ("phone_surface", "i1"),
        ("email_kind", "i1"),
        ("email_surface", "i1"),
        ("typo", "i1"),
        ("moved", "?"),
        ("final", "?"),
    ],
    "messages": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("message", "i8"),
        ("channel", "i1"),
        ("source", "i1"),
        ("campaign", "i2"),
        *_IDENTIFIER,
        ("delivered", "i4"),
        ("opened", "i4"),
        ("clicked", "i4"),
        ("unsubscribed", "i4"),
        ("reason", "i1"),
        ("control", "?"),
        ("final", "?"),
    ],
    "referrals": [
        ("day", "i2"),
        ("t", "i4"),
        ("person", "i4"),
        ("referral", "i8"),
        ("invitee", "i4"),
        ("depth", "i1"),
        *_IDENTIFIER,
        ("kind2", "i1"),
        ("owner2", "i4"),
        ("surface2", "i1"),
        ("accepted", "i4"),
        ("final", "?"),
    ],
    "erasure_requests": [("day", "i2"), ("t", "i4"), ("person", "i4"), *_IDENTIFIER],
}
_NONE_BY_DEFAULT = (
    *("kind", "kind2", "phone_kind", "email_kind", "product", "campaign", "content", "store"),
    *("staff", "value", "coupon", "reason", "order", "invitee", "tier"),
    *("paid", "delivered", "opened", "clicked", "unsubscribed", "accepted"),
)


_HOUR_SHARE = np.array(
    [8, 4, 2, 1, 1, 2, 6, 14, 24, 32, 38, 40, 48, 42, 34, 34, 36, 38, 42, 54, 70, 78, 56, 26],
    dtype=float,
)
_HOURS = np.concatenate([[0.0], np.cumsum(_HOUR_SHARE) / _HOUR_SHARE.sum()])


def rows(entity: str, n: int, **columns) -> np.ndarray:
    """A structured array of `n` rows; columns not given are -1 (codes) or 0."""
    out = np.zeros(n, dtype=ROWS[entity])
    for name in _NONE_BY_DEFAULT:
        if name in out.dtype.names:
            out[name] = -1
    for name, value in columns.items():
        out[name] = value
    if "t" in columns and "day" not in columns:
        out["day"] = out["t"] // DAY_SECONDS
    return out


def draw_days(rng, weights: np.ndarray, first: np.ndarray, past: np.ndarray) -> np.ndarray:
    """A weighted day in [first, past) per row; `weights` is cumulated, shape (days + 1,)."""
    low, high = weights[first], weights[past]
    day = np.searchsorted(weights, low + (high - low) * rng.random(len(first)), "right") - 1
    return np.clip(day, first, past - 1)


def draw_seconds(rng, n: int) -> np.ndarray:
    """Second of the day, most of them in the evening."""
    return np.minimum(
        np.interp(rng.random(n), _HOURS, np.arange(25.0)) * 3_600, DAY_SECONDS - 1
    ).astype(int)


def draw_later(rng, after: np.ndarray, low: float, high: float) -> np.ndarray:
    """A moment `low` to `high` days after another one, in seconds."""
    return after + ((low + (high - low) * rng.random(len(after))) * DAY_SECONDS).astype(int)


@dataclass
class Behaviour:
    """All rows of a slice by entity, and the planted uplift of its messages.

    `uplift` rows: campaign, treated, control, failed, expected extra orders over all recipients,
    extra orders made.
    """

    people: Population
    entities: dict[str, list[np.ndarray]] = field(default_factory=dict)
    uplift: list[tuple[int, int, int, int, float, int]] = field(default_factory=list)

    def add(self, entity: str, part: np.ndarray) -> None:
        """Keep some rows of an entity."""
        if len(part):
            self.entities.setdefault(entity, []).append(part)

    def table(self, entity: str) -> np.ndarray:
        """All rows of an entity, in the order of generation."""
        parts = self.entities.get(entity)
        return np.concatenate(parts) if parts else np.zeros(0, dtype=ROWS[entity])


def identify(people: Population, who: np.ndarray, kind: np.ndarray, source) -> dict:
    """Identifier columns for people (positions in the slice) under one kind each (-1: none)."""
    kind = np.asarray(kind)
    owner = people.owner[who, np.maximum(kind, 0)]
    source = np.broadcast_to(source, kind.shape)
    return {
        "owner": owner,
        "kind": kind,
        "surface": ids.surfaces(kind, owner, source),
    }


def horizon(people: Population) -> int:
    return people.world.days * DAY_SECONDS


def staff_of(people: Population, who: np.ndarray, brand) -> np.ndarray:
    """The shop assistant of each person at a brand: a staff code."""
    pick = mix(people.person[who], 5) % np.uint64(STAFF_PER_BRAND)
    return np.asarray(brand) * STAFF_PER_BRAND + pick.astype(int)


def product_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First product code, number of products (both by brand) and list price in cents by code."""
    first, count, price = [], [], []
    for row in BRANDS:
        first.append(len(price))
        count.append(len(row.categories) * PRODUCTS_PER_CATEGORY)
        for _, yuan in row.categories:
            price += [yuan * 100 + step * 1_000 for step in range(PRODUCTS_PER_CATEGORY)]
    return np.array(first), np.array(count), np.array(price)


_FIRST_PRODUCT, _PRODUCT_COUNT, PRICE = product_table()


def draw_products(rng, brand: np.ndarray) -> np.ndarray:
    """A product code of each brand; the first ones of a brand are bought most."""
    return _FIRST_PRODUCT[brand] + (_PRODUCT_COUNT[brand] * rng.random(len(brand)) ** 2).astype(int)
