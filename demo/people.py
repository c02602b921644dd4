"""People of one slice: latent type, life in the world, households and identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from demo import identifiers as ids
from demo.seasons import World
from demo.vocabulary import BRANDS

TYPES = ("visitor", "prospect", "single", "repeat", "loyal", "churned")
VISITOR, PROSPECT, SINGLE, REPEAT, LOYAL, CHURNED = range(6)
_SHARES = (0.28, 0.22, 0.18, 0.16, 0.10, 0.06)
# Chance of each identifier by type, in the order of TYPES.
_CHANCES = {
    "wechat": (0.45, 0.80, 0.82, 0.88, 0.92, 0.85),
    "member": (0.00, 0.50, 0.62, 0.82, 0.97, 0.75),
    "phone": (0.04, 0.55, 0.88, 0.95, 0.99, 0.95),
    "taobao": (0.40, 0.60, 0.66, 0.75, 0.82, 0.70),
    "jd": (0.15, 0.25, 0.30, 0.35, 0.40, 0.30),
    "douyin": (0.35, 0.40, 0.35, 0.40, 0.45, 0.30),
    "device": (0.30, 0.42, 0.40, 0.50, 0.60, 0.45),
    "cookie": (0.25, 0.35, 0.35, 0.40, 0.45, 0.40),
    "miniprogram": (0.20, 0.55, 0.55, 0.70, 0.80, 0.60),
    "account": (0.12, 0.40, 0.35, 0.45, 0.60, 0.40),
    "contact": (0.03, 0.25, 0.30, 0.42, 0.60, 0.35),
}


@dataclass
class Population:
    """People of a slice as columns of shape (n,); days count from the world's first day.

    `has` and `owner` have shape (n, kinds): whether a person has an identifier of that kind, and
    whose value it is. Relationship days have shape (n, brands) and are -1 where there is none.
    """

    world: World
    index: int
    first: int
    n: int
    kind: np.ndarray
    brand: np.ndarray
    second_brand: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    household: np.ndarray
    activity: np.ndarray
    has: np.ndarray
    owner: np.ndarray
    is_recycled: np.ndarray
    shares_device: np.ndarray
    joined: np.ndarray = field(default_factory=lambda: np.empty(0))
    quit: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def person(self) -> np.ndarray:
        """Person numbers, unique in the world: shape (n,)."""
        return np.arange(self.first, self.first + self.n)

    def rng(self, label: str) -> np.random.Generator:
        """A random stream of this slice."""
        return self.world.rng(label, self.index)

    def uses(self, brand: int) -> np.ndarray:
        """Whether each person deals with a brand: bool of shape (n,)."""
        return (self.brand == brand) | (self.second_brand == brand)


def _flags(rng: np.random.Generator, kind: np.ndarray, name: str) -> np.ndarray:
    return rng.random(len(kind)) < np.array(_CHANCES[name])[kind]


def _lives(rng: np.random.Generator, kind: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """First and past-the-last active day of each person: int arrays of shape (n,)."""
    n = len(kind)
    begins = np.where(rng.random(n) < 0.25, 0.0, rng.random(n) * days * 0.96)
    # Visitors come and go; a crowd of them on the first day would be an artefact.
    begins = np.where(kind == VISITOR, np.maximum(rng.random(n) * (days + 20) - 20, 0), begins)
    begins = np.where(kind == LOYAL, begins * 0.5, np.where(kind == CHURNED, begins * 0.4, begins))
    stay = np.full(n, float(days))
    stay = np.where(kind == VISITOR, 1 + rng.exponential(25.0, n), stay)
    stay = np.where(kind == CHURNED, (days - begins) * (0.15 + 0.35 * rng.random(n)), stay)
    begins = np.minimum(begins.astype(int), days - 1)
    return begins, np.clip((begins + stay).astype(int), begins + 1, days)


def _presence(rng: np.random.Generator, kind: np.ndarray, uses: np.ndarray) -> np.ndarray:
    """Which identifiers people have: bool of shape (n, kinds); `uses` is (n, brands)."""
    n = len(kind)
    has = np.zeros((n, len(ids.KINDS)), dtype=bool)
    has[:, ids.MEMBER] = _flags(rng, kind, "member")
    has[:, ids.PHONE] = _flags(rng, kind, "phone") | has[:, ids.MEMBER]
    has[:, ids.PHONE2] = has[:, ids.MEMBER] & (rng.random(n) < 0.06)
    has[:, ids.EMAIL] = has[:, ids.MEMBER] & (rng.random(n) < 0.22)
    wechat = _flags(rng, kind, "wechat")
    for brand in range(len(BRANDS)):
        for base, name in (
            (ids.MINIPROGRAM, "miniprogram"),
            (ids.ACCOUNT, "account"),
            (ids.CONTACT, "contact"),
        ):
            has[:, base + brand] = wechat & uses[:, brand] & _flags(rng, kind, name)
    has[:, ids.UNIONID] = has[:, ids.MINIPROGRAM : ids.TAOBAO].any(axis=1)
    has[:, ids.TAOBAO] = _flags(rng, kind, "taobao")
    has[:, ids.JD] = _flags(rng, kind, "jd")
    has[:, ids.DOUYIN] = _flags(rng, kind, "douyin")
    has[:, ids.ALIPAY] = has[:, ids.TAOBAO] & (rng.random(n) < 0.05)
    has[:, ids.CARD] = has[:, ids.MEMBER] & (rng.random(n) < 0.18)
    has[:, ids.CUSTOMER] = (kind >= SINGLE) & (rng.random(n) < 0.08)
    buys_nowhere = (kind >= SINGLE) & ~has[:, [ids.TAOBAO, ids.JD, ids.DOUYIN]].any(axis=1)
    has[:, ids.TAOBAO] |= buys_nowhere
    has[:, ids.DEVICE] = _flags(rng, kind, "device")
    has[:, ids.COOKIE] = _flags(rng, kind, "cookie")
    trackable = has[:, ids.DEVICE] | has[:, ids.COOKIE]
    has[:, ids.LOOSE_COOKIE] = (rng.random(n) < 0.45) | ~trackable
    return has


def strong_kind(has: np.ndarray) -> np.ndarray:
    """The identifier that a person logs in with: a kind per person, -1 for none; shape (n,)."""
    choices = (ids.MEMBER, ids.PHONE, *range(ids.MINIPROGRAM, ids.ACCOUNT), ids.TAOBAO)
    out = np.full(len(has), -1)
    for kind in reversed(choices):
        out = np.where(has[:, kind], kind, out)
    return out


def population(world: World, index: int) -> Population:
    """Draw the people of one slice."""
    rng = world.rng("people", index)
    first, n = world.slice_people(index)
    person = np.arange(first, first + n)
    kind = rng.choice(len(TYPES), n, p=_SHARES)
    brand = rng.choice(len(BRANDS), n, p=[row.share for row in BRANDS])
    other = (brand + rng.integers(1, len(BRANDS), n)) % len(BRANDS)
    second = np.where(rng.random(n) < 0.25, other, -1)
    begins, ends = _lives(rng, kind, world.days)
    heads = np.where((rng.random(n) < 0.70) | (np.arange(n) == 0), np.arange(n), 0)
    household = person[np.maximum.accumulate(heads)]

    code = np.arange(len(BRANDS))
    uses = (brand[:, None] == code) | (second[:, None] == code)
    has = _presence(rng, kind, uses)
    owner = np.repeat(person[:, None], len(ids.KINDS), axis=1)

    # Six households in ten have one tablet for all of those who log in somewhere.
    together = (ids.mix(household, world.seed) % np.uint64(10) < 6) & (strong_kind(has) >= 0)
    owner[together, ids.DEVICE] = household[together]
    used, count = np.unique(owner[has[:, ids.DEVICE], ids.DEVICE], return_counts=True)
    crowded = used[count > 1]
    shares_device = has[:, ids.DEVICE] & np.isin(owner[:, ids.DEVICE], crowded)

    # A carrier hands a given-up number to somebody else: two members, one phone.
    members = np.flatnonzero(has[:, ids.MEMBER])
    pairs = max(1, n // 1_000) if len(members) >= 40 else 0
    taken = rng.choice(members, 2 * pairs, replace=False)
    is_recycled = np.zeros(n, dtype=bool)
    is_recycled[taken] = True
    owner[taken[:pairs], ids.PHONE] = person[taken[pairs:]]

    return Population(
        world=world,
        index=index,
        first=first,
        n=n,
        kind=kind,
        brand=brand,
        second_brand=second,
        begins=begins,
        ends=ends,
        household=household,
        activity=rng.gamma(2.0, 0.5, n),
        has=has,
        owner=owner,
        is_recycled=is_recycled,
        shares_device=shares_device,
    )
