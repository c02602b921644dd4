"""Orders with their lines, status changes, refunds, and the events around them."""

from __future__ import annotations

import numpy as np

from demo import identifiers as ids
from demo.people import CHURNED, LOYAL, REPEAT, SINGLE, Population
from demo.rows import (
    PRICE,
    Behaviour,
    draw_days,
    draw_later,
    draw_products,
    draw_seconds,
    horizon,
    identify,
    rows,
    staff_of,
)
from demo.text import DAY_SECONDS, unit
from demo.vocabulary import (
    BRANDS,
    EVENT_CODE,
    ORDER_STATUSES,
    PLATFORM_CHANNEL,
    PLATFORM_CODE,
    PLATFORM_SOURCE,
    SOURCE_CODE,
    STORES,
)

_BUYS_AT = ("tmall", "jd", "douyin", "miniprogram", "app", "store")
_BUYS_WEIGHT = np.array([0.34, 0.13, 0.12, 0.20, 0.08, 0.13])


def _order_days(people: Population, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who orders (positions), at which brand and on which day: arrays of equal length."""
    n, scale = people.n, people.world.days / 730
    count = np.select(
        [people.kind == SINGLE, people.kind == REPEAT, people.kind == LOYAL],
        [np.ones(n), 2 + rng.poisson(1.3 * scale, n), 3 + rng.poisson(6.0 * scale, n)],
        np.where(people.kind == CHURNED, 1 + rng.poisson(1.5 * scale, n), 0),
    ).astype(int)
    who = np.repeat(np.arange(n), count)
    m = len(who)
    second = (people.second_brand[who] >= 0) & (people.kind[who] != SINGLE)
    brand = np.where(second & (rng.random(m) < 0.25), people.second_brand[who], people.brand[who])
    day = draw_days(rng, people.world.order_weights, people.begins[who], people.ends[who])
    return who, brand, day


def _choose_platform(people: Population, who, brand, rng) -> np.ndarray:
    """Platform of each order, among those where the person has an identifier."""
    has = people.has[who]
    can = np.stack(
        [
            has[:, ids.TAOBAO],
            has[:, ids.JD],
            has[:, ids.DOUYIN],
            has[np.arange(len(who)), ids.MINIPROGRAM + brand],
            has[:, ids.MEMBER],
            np.ones(len(who), dtype=bool),
        ],
        axis=1,
    )
    # People keep to a shop: an own preference for each platform, drawn once.
    taste = np.stack([unit(people.person[who], 900 + p) ** 2 for p in range(6)], axis=1)
    weight = np.cumsum(can * _BUYS_WEIGHT * (0.05 + taste), axis=1)
    pick = (rng.random(len(who))[:, None] * weight[:, -1:] >= weight).sum(axis=1)
    return np.array([PLATFORM_CODE[name] for name in _BUYS_AT])[pick]


def _order_kind(people: Population, who, brand, platform, rng) -> np.ndarray:
    """Under which identifier the source logs each order; -1 for an anonymous one at a till."""
    m = len(who)
    has = people.has[who]
    draw = rng.random(m)
    kind = np.full(m, -1)
    for name, code in (("tmall", ids.TAOBAO), ("jd", ids.JD), ("douyin", ids.DOUYIN)):
        kind = np.where(platform == PLATFORM_CODE[name], code, kind)
    app = np.where(has[:, ids.PHONE] & (draw < 0.2), ids.PHONE, ids.MINIPROGRAM + brand)
    kind = np.where(platform == PLATFORM_CODE["miniprogram"], app, kind)
    kind = np.where(platform == PLATFORM_CODE["app"], ids.MEMBER, kind)
    till = np.select(
        [
            has[:, ids.CARD] & (draw < 0.4),
            has[:, ids.MEMBER] & (draw < 0.7),
            has[:, ids.PHONE] & (draw < 0.88),
            has[:, ids.CUSTOMER],
        ],
        [ids.CARD, ids.MEMBER, ids.PHONE, ids.CUSTOMER],
        -1,
    )
    return np.where(platform == PLATFORM_CODE["store"], till, kind)


def orders(done: Behaviour, extra: dict[str, np.ndarray]) -> None:
    """Orders with lines, refunds, reviews and the steps before them."""
    people = done.people
    world = people.world
    rng = people.rng("orders")
    who, brand, day = _order_days(people, rng)
    anonymous = int(people.n * 0.10)
    nobody = np.full(anonymous, -1)
    who = np.concatenate([who, extra["who"], nobody])
    campaign = np.concatenate([np.full(len(day), -1), extra["campaign"], np.full(anonymous, -1)])
    share = [row.share for row in BRANDS]
    brand = np.concatenate([brand, extra["brand"], rng.choice(len(BRANDS), anonymous, p=share)])
    zeros = np.zeros(anonymous, dtype=int)
    somewhere = draw_days(rng, world.order_weights, zeros, zeros + world.days)
    day = np.concatenate([day, extra["day"], somewhere])
    m = len(who)
    known = who >= 0
    at = np.maximum(who, 0)
    platform = np.where(known, _choose_platform(people, at, brand, rng), PLATFORM_CODE["store"])
    kind = np.where(known, _order_kind(people, at, brand, platform, rng), -1)
    is_till = platform == PLATFORM_CODE["store"]
    ordered = day * DAY_SECONDS + np.where(is_till, rng.integers(36_000, 79_200, m), 0)
    ordered = np.where(is_till, ordered, day * DAY_SECONDS + draw_seconds(rng, m))
    number = people.index * 10_000_000 + np.arange(m)
    source = np.array(PLATFORM_SOURCE)[platform]
    stores = np.array([[s for s, r in enumerate(STORES) if r.brand == b] for b in range(3)])
    store = np.where(is_till, stores[brand, rng.integers(0, stores.shape[1], m)], -1)
    channel = np.where(
        is_till,
        np.array([row.channel for row in STORES])[store],
        np.array(PLATFORM_CHANNEL)[platform],
    )
    guided = is_till | (known & (rng.random(m) < 0.1) & (platform == PLATFORM_CODE["miniprogram"]))
    staff = np.where(guided, staff_of(people, at, brand), -1)
    promotion = world.running("promotion")[brand, day]
    campaign = np.where((campaign < 0) & (rng.random(m) < 0.6) & ~is_till, promotion, campaign)
    coupon = np.where(rng.random(m) < 0.2, rng.integers(0, 60, m), -1)

    lines = _order_lines(done, rng, number, source, brand, ordered, promotion >= 0, coupon >= 0)
    amount, discount, first_product = lines

    moments = _order_steps(rng, ordered, is_till)
    identifier = identify(people, at, kind, source)
    person = np.where(known, people.person[at], -1)
    common = {
        "t": ordered,
        "person": person,
        "order": number,
        "brand": brand,
        "source": source,
        "channel": channel,
        "store": store,
        "staff": staff,
        "amount": amount,
        "discount": discount,
        "campaign": campaign,
        "coupon": coupon,
        **identifier,
    }
    _land_orders(done, common, moments, is_till)
    final = done.table("orders")
    final = final[final["final"]]
    final = final[np.argsort(final["order"])]  # one per order, in the order of `number`
    _refunds(done, rng, final)
    _around_orders(done, rng, final, platform, first_product, moments[:, 3])


def _order_lines(done, rng, number, source, brand, ordered, in_promotion, has_coupon):
    """Lines that sum to the order: amount and discount in cents and the first product, (m,)."""
    m = len(number)
    count = rng.choice([1, 2, 3, 4], m, p=[0.56, 0.27, 0.12, 0.05])
    at = np.repeat(np.arange(m), count)
    line = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count) + 1
    product = draw_products(rng, brand[at])
    quantity = rng.choice([1, 2, 3], len(at), p=[0.74, 0.19, 0.07])
    rate = np.where(in_promotion, 0.72, rng.choice([1.0, 0.95, 0.88], m, p=[0.6, 0.25, 0.15]))
    rate = np.where(has_coupon, rate * 0.93, rate)
    rate = np.where(rng.random(m) < 0.004, 0.0, rate)  # a free sample: an order of nothing
    full = PRICE[product] * quantity
    paid = np.rint(full * rate[at]).astype(int)
    done.add(
        "order_lines",
        rows(
            "order_lines",
            len(at),
            t=ordered[at],
            order=number[at],
            source=source[at],
            line=line,
            product=product,
            quantity=quantity,
            amount=paid,
        ),
    )
    amount = np.bincount(at, paid, m).astype(int)
    whole = np.bincount(at, full, m).astype(int)
    first_product = product[np.cumsum(count) - count] if m else product
    return amount, whole - amount, first_product


def _order_steps(rng, ordered: np.ndarray, is_till: np.ndarray) -> np.ndarray:
    """Moments of created, paid, shipped, completed, cancelled: (m, 5), -1 where it never comes."""
    m = len(ordered)
    draw = rng.random(m)
    at_once = ordered + rng.integers(20, 900, m)
    paid = np.where(draw < 0.93, at_once, draw_later(rng, ordered, 0.05, 1.0))
    never = ~is_till & (rng.random(m) < 0.05)
    shipped = draw_later(rng, paid, 0.3, 2.0)
    done = draw_later(rng, shipped, 2.0, 8.0)
    cancelled = np.full(m, -1)
    regrets = ~is_till & ~never & (rng.random(m) < 0.02)
    cancelled = np.where(never, draw_later(rng, ordered, 1.0, 2.0), cancelled)
    cancelled = np.where(never & (rng.random(m) < 0.2), -1, cancelled)
    cancelled = np.where(regrets, paid + rng.integers(600, 40_000, m), cancelled)
    gone = never | regrets
    return np.stack(
        [
            ordered,
            np.where(never, -1, np.where(is_till, ordered, paid)),
            np.where(gone | is_till, -1, shipped),
            np.where(gone, -1, np.where(is_till, ordered, done)),
            cancelled,
        ],
        axis=1,
    )


def _land_orders(done: Behaviour, common: dict, moments: np.ndarray, is_till) -> None:
    """An order lands with its status at the end of each day on which the status changed."""
    end = horizon(done.people)
    moments = np.where(moments < end, moments, -1)
    day = np.where(moments >= 0, moments // DAY_SECONDS, -1)
    m = len(moments)
    for status in range(len(ORDER_STATUSES)):
        later = day[:, status + 1 :]
        lands = (day[:, status] >= 0) & ~(later == day[:, status : status + 1]).any(axis=1)
        final = ~(later >= 0).any(axis=1)
        at = np.flatnonzero(lands)
        paid = moments[at, 1]
        paid = np.where(paid // DAY_SECONDS <= day[at, status], paid, -1)
        part = {name: np.broadcast_to(value, m)[at] for name, value in common.items()}
        done.add(
            "orders",
            rows(
                "orders",
                len(at),
                day=day[at, status],
                status=status,
                paid=paid,
                final=final[at],
                **part,
            ),
        )


def _refunds(done: Behaviour, rng, final: np.ndarray) -> None:
    """Full, partial and split refunds of orders, and returns at a till without an order."""
    people = done.people
    days, end = people.world.days, horizon(people)
    can = (final["paid"] >= 0) & (final["status"] != 4) & (final["amount"] > 2)
    some = np.flatnonzero(can & (rng.random(len(final)) < 0.07))
    moment = draw_later(rng, final["paid"][some].astype(int), 0.5, 20.0)
    # Some refunds of the last weeks are made on the last day.
    recent = np.flatnonzero(can & (final["paid"] // DAY_SECONDS >= days - 21))
    recent = np.setdiff1d(recent[final["paid"][recent] // DAY_SECONDS < days - 1], some)
    recent = recent[: max(1, len(recent) // 10)]
    today = (days - 1) * DAY_SECONDS + draw_seconds(rng, len(recent))
    some, moment = np.append(some, recent), np.append(moment, today)
    some, moment = some[moment < end], moment[moment < end]
    m = len(some)
    amount = final["amount"][some]
    draw = rng.random(m)
    part = np.clip(np.rint(amount * (0.1 + 0.8 * rng.random(m))).astype(int), 1, amount - 1)
    first = np.where(draw < 0.55, amount, part)
    splits = np.flatnonzero(draw > 0.9)
    order = np.append(some, some[splits])
    amounts = np.append(first, (amount - part)[splits])
    moments = np.append(moment, np.minimum(moment[splits] + 1_800, end - 1))
    number = people.index * 10_000_000 + np.arange(len(order))
    names = ("person", "owner", "kind", "surface", "brand", "source", "order")
    done.add(
        "refunds",
        rows(
            "refunds",
            len(order),
            t=moments,
            refund=number,
            amount=amounts,
            **{name: final[name][order] for name in names},
        ),
    )
    buyers = np.flatnonzero((people.kind >= SINGLE) & people.has[:, ids.MEMBER])
    loose = max(2, people.n // 80)
    who = rng.choice(buyers, loose) if len(buyers) else np.zeros(0, int)
    loose = len(who)
    kind = np.where(rng.random(loose) < 0.5, ids.MEMBER, -1)
    day = np.where(rng.random(loose) < 0.1, days - 1, rng.integers(days // 10, days, loose))
    done.add(
        "refunds",
        rows(
            "refunds",
            loose,
            t=day * DAY_SECONDS + rng.integers(36_000, 79_200, loose),
            refund=number.size + people.index * 10_000_000 + np.arange(loose),
            amount=rng.integers(900, 12_000, loose),
            person=np.where(kind < 0, -1, people.person[who]),
            brand=people.brand[who],
            source=SOURCE_CODE["pos"],
            **identify(people, who, kind, SOURCE_CODE["pos"]),
        ),
    )


def _around_orders(done, rng, final, platform, product, completed) -> None:
    """Views and carts before an order, points and a review after it."""
    people = done.people
    end = horizon(people)
    known = final["kind"] >= 0
    is_till = platform == PLATFORM_CODE["store"]
    names = ("person", "owner", "kind", "surface", "brand", "source", "channel", "store")

    def emit(mask, event, moment, **columns):
        at = np.flatnonzero(mask & (moment < end) & (moment >= 0))
        columns = {name: np.broadcast_to(v, len(final))[at] for name, v in columns.items()}
        done.add(
            "touchpoints",
            rows(
                "touchpoints",
                len(at),
                t=moment[at],
                event=EVENT_CODE[event],
                **{name: final[name][at] for name in names},
                **columns,
            ),
        )

    n = len(final)
    t = final["t"].astype(int)
    midnight = t // DAY_SECONDS * DAY_SECONDS
    before = np.maximum(t - rng.integers(300, 1_800, n), midnight)
    shops = known & ~is_till & (rng.random(n) < 0.85)
    emit(shops, "product_view", before, product=product)
    carted = np.maximum(t - rng.integers(20, 300, n), midnight)
    emit(shops & (rng.random(n) < 0.9), "cart_add", carted, product=product)
    used = known & (final["coupon"] >= 0) & (final["paid"] >= 0)
    emit(used & ~is_till, "coupon_use", t, campaign=final["campaign"])
    emit(known & is_till, "store_visit", np.maximum(t - 600, midnight))
    own = np.isin(platform, [PLATFORM_CODE[p] for p in ("miniprogram", "app", "store")])
    earned = final["paid"].astype(int) + 30
    points = (final["amount"] // 100).astype(int)
    earns = known & own & (final["paid"] >= 0) & (rng.random(n) < 0.7)
    emit(earns, "points_earn", earned, value=points)
    reviewed = draw_later(rng, np.maximum(completed, 0), 0.2, 9.0)
    rating = rng.choice([1, 2, 3, 4, 5], n, p=[0.04, 0.04, 0.08, 0.24, 0.60])
    writes = known & (completed >= 0) & (final["status"] == 3) & (rng.random(n) < 0.16)
    emit(writes, "review", reviewed, value=rating, product=product)
