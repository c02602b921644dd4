"""Everyday sessions: the bulk of the touchpoints."""

from __future__ import annotations

import numpy as np

from demo import identifiers as ids
from demo.people import Population
from demo.rows import (
    Behaviour,
    draw_days,
    draw_products,
    draw_seconds,
    identify,
    rows,
    staff_of,
)
from demo.text import DAY_SECONDS, unit
from demo.vocabulary import (
    CHANNEL_CODE,
    EVENT_CODE,
    EVENT_TYPES,
    PLATFORM_CHANNEL,
    PLATFORM_CODE,
    PLATFORM_EVENTS,
    PLATFORM_SOURCE,
    PLATFORMS,
    STORES,
)

# Sessions of a person in two years at activity 1, and chance of high intent, by latent type.
_SESSIONS = np.array([5.5, 19.0, 20.5, 29.5, 48.0, 23.0])
_INTENT = np.array([0.05, 0.45, 0.55, 0.70, 0.80, 0.55])
# How much each latent type prefers a platform, in the order of PLATFORMS.
_PREFERENCE = np.array(
    [
        [0.16, 0.06, 0.16, 0.10, 0.34, 0.06, 0.03, 0.01, 0.02, 0.05, 0.01],
        [0.18, 0.07, 0.12, 0.07, 0.16, 0.16, 0.07, 0.05, 0.05, 0.05, 0.02],
        [0.22, 0.09, 0.11, 0.06, 0.11, 0.17, 0.06, 0.05, 0.06, 0.04, 0.03],
        [0.22, 0.09, 0.10, 0.04, 0.08, 0.20, 0.07, 0.07, 0.07, 0.03, 0.03],
        [0.20, 0.08, 0.08, 0.03, 0.05, 0.24, 0.08, 0.10, 0.09, 0.02, 0.03],
        [0.22, 0.10, 0.11, 0.06, 0.12, 0.16, 0.06, 0.04, 0.06, 0.04, 0.03],
    ]
)


LATE_EVENTS = 0.006


def _event_tables() -> np.ndarray:
    """Cumulated chances by (platform * 2 + intent, event type), each row ending at 1."""
    table = np.zeros((len(PLATFORMS) * 2, len(EVENT_TYPES)))
    for platform, name in enumerate(PLATFORMS):
        for intent, chances in enumerate(PLATFORM_EVENTS[name]):
            for event, chance in chances.items():
                table[platform * 2 + intent, EVENT_CODE[event]] = chance
    table = np.cumsum(table, axis=1)
    return table / table[:, -1:]


_EVENT_TABLE = _event_tables()
# Rows shifted by their number, so that one search over the flat table serves all of them.
_FLAT_EVENTS = (_EVENT_TABLE + np.arange(len(_EVENT_TABLE))[:, None]).ravel()
_WITH_PRODUCT = np.isin(
    EVENT_TYPES, ["product_view", "favorite", "cart_add", "cart_remove", "sample_claim"]
)
_WITH_CONTENT = np.isin(EVENT_TYPES, ["content_view", "live_watch", "comment", "share"])
_WITH_CAMPAIGN = np.isin(EVENT_TYPES, ["ad_impression", "ad_click", "coupon_claim"])


def _session_platforms(people: Population, who, brand, rng) -> np.ndarray:
    """Platform of each session, among those where the person can be seen."""
    has = people.has[who]
    at = np.arange(len(who))
    tracked = has[:, ids.DEVICE] | has[:, ids.COOKIE] | has[:, ids.LOOSE_COOKIE]
    walks_in = has[:, ids.MEMBER] | has[:, ids.CARD]
    can = np.stack(
        [
            has[:, ids.TAOBAO],
            has[:, ids.JD],
            has[:, ids.DOUYIN],
            has[:, ids.DEVICE],
            tracked,
            has[at, ids.MINIPROGRAM + brand],
            has[at, ids.ACCOUNT + brand],
            has[at, ids.CONTACT + brand],
            has[:, ids.MEMBER] | has[:, ids.DEVICE],
            has[:, ids.COOKIE] | has[:, ids.LOOSE_COOKIE],
            walks_in,
        ],
        axis=1,
    )
    weight = np.cumsum(can * _PREFERENCE[people.kind[who]], axis=1)
    return (rng.random(len(who))[:, None] * weight[:, -1:] >= weight).sum(axis=1)


def _session_kinds(people: Population, who, brand, platform, rng) -> np.ndarray:
    """Under which identifier each session is logged."""
    has = people.has[who]
    draw = rng.random(len(who))
    cookie = np.where(
        has[:, ids.COOKIE] & (~has[:, ids.LOOSE_COOKIE] | (draw < 0.7)),
        ids.COOKIE,
        ids.LOOSE_COOKIE,
    )
    device = np.where(has[:, ids.DEVICE], ids.DEVICE, cookie)
    # Advertisers match a sixth of the known phones; the others are seen as devices.
    matched = has[:, ids.PHONE] & (unit(people.person[who], 404) < 0.16)
    choice = {
        "tmall": ids.TAOBAO,
        "jd": ids.JD,
        "douyin": ids.DOUYIN,
        "xiaohongshu": ids.DEVICE,
        "ads": np.where(matched & (draw < 0.5), ids.PHONE, device),
        "miniprogram": np.where(draw < 0.06, ids.UNIONID, ids.MINIPROGRAM + brand),
        "official_account": ids.ACCOUNT + brand,
        "wecom": ids.CONTACT + brand,
        "app": np.where(has[:, ids.MEMBER] & (draw < 0.8), ids.MEMBER, device),
        "website": cookie,
        "store": np.where(has[:, ids.CARD] & (draw < 0.5), ids.CARD, ids.MEMBER),
    }
    return np.select([platform == PLATFORM_CODE[p] for p in PLATFORMS], [*choice.values()], -1)


def sessions(done: Behaviour) -> None:
    """Everyday sessions: the bulk of the touchpoints."""
    people = done.people
    world = people.world
    rng = people.rng("sessions")
    expected = _SESSIONS[people.kind] * people.activity * (world.days / 730)
    count = 1 + rng.poisson(expected)
    who = np.repeat(np.arange(people.n), count)
    m = len(who)
    second = (people.second_brand[who] >= 0) & (rng.random(m) < 0.3)
    brand = np.where(second, people.second_brand[who], people.brand[who])
    platform = _session_platforms(people, who, brand, rng)
    kind = _session_kinds(people, who, brand, platform, rng)
    day = draw_days(rng, world.session_weights, people.begins[who], people.ends[who])
    second_of_day = draw_seconds(rng, m)
    intent = rng.random(m) < _INTENT[people.kind[who]]
    source = np.array(PLATFORM_SOURCE)[platform]
    channel = np.array(PLATFORM_CHANNEL)[platform]
    in_group = (platform == PLATFORM_CODE["wecom"]) & (rng.random(m) < 0.3)
    channel = np.where(in_group, CHANNEL_CODE["community_group"], channel)
    stores = np.array([[s for s, r in enumerate(STORES) if r.brand == b] for b in range(3)])
    is_store = platform == PLATFORM_CODE["store"]
    store = np.where(is_store, stores[brand, rng.integers(0, stores.shape[1], m)], -1)
    channel = np.where(is_store, np.array([row.channel for row in STORES])[store], channel)
    staff = np.where(platform == PLATFORM_CODE["wecom"], staff_of(people, who, brand), -1)
    identifier = identify(people, who, kind, source)

    length = rng.geometric(0.42, m)
    at = np.repeat(np.arange(m), length)
    k = len(at)
    step = np.arange(k) - np.repeat(np.cumsum(length) - length, length)
    last_second = (day[at] + 1) * DAY_SECONDS - 1
    t = day[at] * DAY_SECONDS + second_of_day[at] + step * 41 + rng.integers(0, 40, k)
    table_row = platform[at] * 2 + intent[at]
    event = np.searchsorted(_FLAT_EVENTS, rng.random(k) + table_row, "right")
    event -= table_row * len(EVENT_TYPES)
    with_product, with_content = _WITH_PRODUCT[event], _WITH_CONTENT[event]
    seconds = np.minimum(rng.lognormal(3.6, 1.4, k), 7_200).astype(int)
    running = np.where(
        np.isin(PLATFORMS, ["douyin", "xiaohongshu"])[platform[at]],
        world.running("launch")[brand[at], day[at]],
        world.running("ads")[brand[at], day[at]],
    )
    promoted = world.running("promotion")[brand[at], day[at]]
    campaign = np.where(promoted >= 0, promoted, running)
    attributed = _WITH_CAMPAIGN[event] & (rng.random(k) < 0.8)
    # Apps that were offline report up to four days later, in a batch of that day.
    late = (rng.random(k) < LATE_EVENTS) * rng.integers(1, 5, k)
    done.add(
        "touchpoints",
        rows(
            "touchpoints",
            k,
            day=np.minimum(day[at] + late, world.days - 1),
            t=np.minimum(t, last_second),
            person=people.person[who[at]],
            brand=brand[at],
            source=source[at],
            channel=channel[at],
            event=event,
            product=np.where(with_product, draw_products(rng, brand[at]), -1),
            content=np.where(with_content, rng.integers(0, 400, k) + brand[at] * 1_000, -1),
            campaign=np.where(attributed, campaign, -1),
            value=np.where(event == EVENT_CODE["live_watch"], seconds, -1),
            store=store[at],
            staff=staff[at],
            **{name: value[at] for name, value in identifier.items()},
        ),
    )
