"""What systems state about people: links, profiles, traps for identity, erasure requests."""

from __future__ import annotations

import numpy as np

from demo import identifiers as ids
from demo.people import PROSPECT, strong_kind
from demo.rows import (
    Behaviour,
    draw_later,
    draw_seconds,
    horizon,
    identify,
    rows,
)
from demo.text import DAY_SECONDS
from demo.vocabulary import (
    BRANDS,
    CHANNEL_CODE,
    EVENT_CODE,
    SOURCE_CODE,
)


def _link(done: Behaviour, rng, source: str, left, right, chance) -> None:
    """Land links between two kinds for people who have both; kinds are codes or (n,) arrays."""
    people = done.people
    left, right = (np.broadcast_to(kind, people.n) for kind in (left, right))
    at = np.arange(people.n)
    has = (left >= 0) & (right >= 0) & people.has[at, left] & people.has[at, right]
    who = np.flatnonzero(has & (rng.random(people.n) < chance))
    m = len(who)
    span = people.ends[who] - people.begins[who]
    day = people.begins[who] + (span * rng.random(m) ** 2).astype(int)
    code = SOURCE_CODE[source]
    other = identify(people, who, right[who], code)
    done.add(
        "identity_links",
        rows(
            "identity_links",
            m,
            t=day * DAY_SECONDS + draw_seconds(rng, m),
            person=people.person[who],
            source=code,
            kind2=other["kind"],
            owner2=other["owner"],
            surface2=other["surface"],
            **identify(people, who, left[who], code),
        ),
    )


def links(done: Behaviour) -> None:
    """Links that the source systems state; without them a person stays in pieces."""
    people = done.people
    rng = people.rng("links")
    for brand in range(len(BRANDS)):
        _link(done, rng, "miniprogram", ids.MINIPROGRAM + brand, ids.UNIONID, 0.93)
        _link(done, rng, "official_account", ids.ACCOUNT + brand, ids.UNIONID, 0.92)
        _link(done, rng, "wecom", ids.CONTACT + brand, ids.UNIONID, 0.82)
        _link(done, rng, "miniprogram", ids.MINIPROGRAM + brand, ids.PHONE, 0.30)
    _link(done, rng, "crm", ids.UNIONID, ids.MEMBER, 0.85)
    _link(done, rng, "crm", ids.PHONE, ids.MEMBER, 0.30)
    _link(done, rng, "crm", ids.PHONE2, ids.MEMBER, 0.90)
    _link(done, rng, "tmall", ids.TAOBAO, ids.PHONE, 0.80)
    _link(done, rng, "jd", ids.JD, ids.PHONE, 0.65)
    _link(done, rng, "douyin", ids.DOUYIN, ids.PHONE, 0.60)
    _link(done, rng, "tmall", ids.ALIPAY, ids.TAOBAO, 0.80)
    _link(done, rng, "pos", ids.CARD, ids.MEMBER, 0.92)
    _link(done, rng, "pos", ids.CUSTOMER, ids.PHONE, 0.40)
    login = strong_kind(people.has)
    _link(done, rng, "app", ids.DEVICE, login, np.where(people.shares_device, 1.0, 0.70))
    _link(done, rng, "website", ids.COOKIE, login, 0.60)


def profiles(done: Behaviour) -> None:
    """Profiles of members, of shoppers, and of till customers whom no identifier ties to anyone."""
    people = done.people
    rng = people.rng("profiles")
    end = horizon(people)
    plan = (
        # source, kind, chance, chance that it carries the phone, chance of spelling trouble
        ("crm", ids.MEMBER, 0.85, 0.8, 0.0),
        ("tmall", ids.TAOBAO, 0.25, 0.0, 0.1),
        ("pos", ids.CUSTOMER, 1.0, 0.0, 0.5),
    )
    for source, kind, chance, with_phone, trouble in plan:
        code = SOURCE_CODE[source]
        who = np.flatnonzero(people.has[:, kind] & (rng.random(people.n) < chance))
        m = len(who)
        span = people.ends[who] - people.begins[who]
        day = people.begins[who] + (span * 0.5 * rng.random(m)).astype(int)
        t = day * DAY_SECONDS + draw_seconds(rng, m)
        phone = np.where(people.has[who, ids.PHONE] & (rng.random(m) < with_phone), ids.PHONE, -1)
        email = np.where(people.has[who, ids.EMAIL] & (kind == ids.MEMBER), ids.EMAIL, -1)
        phones = identify(people, who, phone, code)
        emails = identify(people, who, email, code)
        later = draw_later(rng, t, 20, 400)
        moves = (rng.random(m) < 0.18) & (later < end)
        common = {
            "person": people.person[who],
            "source": code,
            "phone_kind": phone,
            "phone_owner": phones["owner"],
            "phone_surface": phones["surface"],
            "email_kind": email,
            "email_surface": emails["surface"],
            "typo": np.where(rng.random(m) < trouble, rng.integers(1, 4, m), 0),
            **identify(people, who, np.full(m, kind), code),
        }
        done.add("profiles", rows("profiles", m, t=t, final=~moves, **common))
        at = np.flatnonzero(moves)
        part = {name: np.broadcast_to(value, m)[at] for name, value in common.items()}
        done.add("profiles", rows("profiles", len(at), t=later[at], moved=True, final=True, **part))


def traps(done: Behaviour) -> None:
    """Identifiers that touch many people: a hub phone, shops' phones and a test account."""
    people = done.people
    rng = people.rng("traps")
    members = np.flatnonzero(people.has[:, ids.MEMBER])
    size = min(len(members), max(30, people.n // 200))
    hub = (ids.TRAP_PHONE, ids.HUB, ids.MEMBER, "crm")
    shops = [
        (ids.TRAP_PHONE, -2 - (people.index * 2 + shop), ids.MEMBER, "pos") for shop in range(2)
    ]
    test = (ids.TEST_MEMBER, -1 - people.index, ids.PHONE, "crm")
    for kind, owner, other, source in (hub, *shops, test):
        who = rng.choice(members, size, replace=False)
        span = people.ends[who] - people.begins[who]
        t = (people.begins[who] + (span * rng.random(size)).astype(int)) * DAY_SECONDS
        t = t + draw_seconds(rng, size)
        code = SOURCE_CODE[source]
        known = identify(people, who, np.full(size, other), code)
        trap = {
            "kind2": kind,
            "owner2": owner,
            "surface2": ids.surfaces(np.full(size, kind), np.full(size, owner), code),
        }
        done.add(
            "identity_links",
            rows(
                "identity_links",
                size,
                t=t,
                person=people.person[who],
                source=code,
                **known,
                **trap,
            ),
        )
        seen = who[: size // 2]
        brand = people.brand[seen]
        done.add(
            "touchpoints",
            rows(
                "touchpoints",
                len(seen),
                t=t[: size // 2],
                person=people.person[seen],
                brand=brand,
                source=code,
                event=EVENT_CODE["interact" if source == "crm" else "store_visit"],
                channel=CHANNEL_CODE["store_counter" if source == "pos" else "app"],
                kind=kind,
                owner=owner,
                surface=trap["surface2"][: size // 2],
            ),
        )


def erasures(done: Behaviour) -> None:
    """A few people ask to be forgotten, in the last third of the world."""
    people = done.people
    rng = people.rng("erasures")
    who = np.flatnonzero(people.has[:, ids.MEMBER] & (people.kind >= PROSPECT))
    who = rng.choice(who, min(len(who), max(1, people.n // 400)), replace=False)
    m = len(who)
    day = rng.integers(people.world.days * 2 // 3, people.world.days, m)
    kind = np.where(rng.random(m) < 0.5, ids.MEMBER, ids.PHONE)
    done.add(
        "erasure_requests",
        rows(
            "erasure_requests",
            m,
            t=day * DAY_SECONDS + draw_seconds(rng, m),
            person=people.person[who],
            **identify(people, who, kind, SOURCE_CODE["crm"]),
        ),
    )
