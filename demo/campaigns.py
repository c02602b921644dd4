"""Message campaigns with a control group and a planted uplift, and what campaigns cost."""

from __future__ import annotations

import numpy as np

from demo import identifiers as ids
from demo.people import CHURNED, LOYAL, REPEAT
from demo.rows import (
    Behaviour,
    draw_later,
    horizon,
    identify,
    rows,
)
from demo.seasons import World
from demo.text import DAY_SECONDS
from demo.vocabulary import (
    CHANNEL_CODE,
    SOURCE_CODE,
)

PLANTED_UPLIFT = {REPEAT: 0.05, LOYAL: 0.08, CHURNED: 0.04}


def messages(done: Behaviour) -> dict[str, np.ndarray]:
    """Message campaigns with a control group; the extra orders that they cause come back.

    The result has columns of equal length: `who` (position), `brand`, `day`, `campaign`.
    """
    people = done.people
    world = people.world
    rng = people.rng("messages")
    end = horizon(people)
    extra: list[tuple[np.ndarray, int, np.ndarray, int]] = []
    sent_so_far = 0
    for code, row in enumerate(world.campaigns):
        if row.role != "message":
            continue
        channel = row.channel
        if channel == CHANNEL_CODE["sms"]:
            kind, source = ids.PHONE, SOURCE_CODE["crm"]
        elif channel == CHANNEL_CODE["wecom"]:
            kind, source = ids.CONTACT + row.brand, SOURCE_CODE["wecom"]
        else:
            kind, source = ids.ACCOUNT + row.brand, SOURCE_CODE["official_account"]
        day = max(row.first_day, 0) + int(world.rng("sending", code).integers(1, 20))
        joined, left = people.joined[:, row.brand], people.quit[:, row.brand]
        now = day * DAY_SECONDS
        member = (joined >= 0) & (joined < now) & ((left < 0) | (left > now))
        eligible = member & people.has[:, kind] & (rng.random(people.n) < 0.6)
        who = np.flatnonzero(eligible)
        m = len(who)
        sent = now + 36_000 + rng.integers(0, 7_200, m)
        control = rng.random(m) < 0.12
        fails = ~control & (rng.random(m) < 0.04)
        delivered = np.where(control | fails, -1, sent + rng.integers(2, 240, m))
        opens = (delivered >= 0) & (rng.random(m) < 0.32)
        opened = np.where(opens, draw_later(rng, sent + 300, 0, 1.2), -1)
        clicks = opens & (rng.random(m) < 0.3)
        clicked = np.where(clicks, opened + rng.integers(5, 600, m), -1)
        leaves = (delivered >= 0) & (rng.random(m) < 0.006)
        unsubscribed = np.where(leaves, draw_later(rng, sent + 300, 0, 2), -1)
        if now + 43_200 >= end:
            continue
        common = {
            "person": people.person[who],
            "message": people.index * 10_000_000 + sent_so_far + np.arange(m),
            "channel": channel,
            "source": source,
            "campaign": code,
            "t": sent,
            "control": control,
            "reason": np.where(fails, rng.integers(0, 3, m), -1),
            **identify(people, who, np.full(m, kind), source),
        }
        sent_so_far += m
        _land_message(done, common, delivered, opened, clicked, unsubscribed)
        treated = np.flatnonzero(delivered >= 0)
        chance = np.zeros(m)
        for latent, rate in PLANTED_UPLIFT.items():
            chance[people.kind[who] == latent] = rate
        later = day + rng.integers(1, 4, m)
        hit = treated[(rng.random(len(treated)) < chance[treated]) & (later[treated] < world.days)]
        extra.append((who[hit], row.brand, later[hit], code))
        done.uplift.append(
            (code, len(treated), int(control.sum()), int(fails.sum()), chance.sum(), len(hit))
        )
    joined_up = {
        "who": np.concatenate([part[0] for part in extra] or [np.zeros(0, int)]),
        "brand": np.concatenate([np.full(len(p[0]), p[1]) for p in extra] or [np.zeros(0, int)]),
        "day": np.concatenate([part[2] for part in extra] or [np.zeros(0, int)]),
        "campaign": np.concatenate([np.full(len(p[0]), p[3]) for p in extra] or [np.zeros(0, int)]),
    }
    return joined_up


def _land_message(done, common, delivered, opened, clicked, unsubscribed) -> None:
    """A message lands when it is sent, and again when a later batch knows of what followed."""
    world = done.people.world
    batch = world.deliveries("messages")
    last_known = world.days * DAY_SECONDS
    opened, clicked, unsubscribed = (
        np.where(moment < last_known, moment, -1) for moment in (opened, clicked, unsubscribed)
    )
    first = batch[common["t"] // DAY_SECONDS]
    newest = np.maximum.reduce([common["t"], delivered, opened, clicked, unsubscribed])
    known = batch[newest // DAY_SECONDS]
    again = known > first

    def known_at_first(moment):
        return np.where(batch[np.maximum(moment, 0) // DAY_SECONDS] <= first, moment, -1)

    done.add(
        "messages",
        rows(
            "messages",
            len(first),
            day=common["t"] // DAY_SECONDS,
            final=~again,
            delivered=known_at_first(delivered),
            opened=known_at_first(opened),
            clicked=known_at_first(clicked),
            unsubscribed=known_at_first(unsubscribed),
            **common,
        ),
    )
    part = np.flatnonzero(again)
    done.add(
        "messages",
        rows(
            "messages",
            len(part),
            day=newest[part] // DAY_SECONDS,
            final=True,
            delivered=delivered[part],
            opened=opened[part],
            clicked=clicked[part],
            unsubscribed=unsubscribed[part],
            **{name: np.broadcast_to(value, len(first))[part] for name, value in common.items()},
        ),
    )


def campaign_costs(world: World) -> dict[str, np.ndarray]:
    """Daily cost rows of paid campaigns: equal-length columns; cost in cents."""
    parts = []
    for code, row in enumerate(world.campaigns):
        if row.role in ("message", "invite"):
            continue
        rng = world.rng("costs", code)
        day = np.arange(max(row.first_day, 0), min(row.last_day, world.days - 1) + 1)
        if not len(day):
            continue
        length = row.last_day - row.first_day + 1
        cost = row.budget_yuan * 100 / length * (0.7 + 0.6 * rng.random(len(day)))
        shown = np.rint(cost / 100 * 40 * (0.8 + 0.4 * rng.random(len(day)))).astype(int)
        clicks = rng.binomial(shown, 0.012)
        channels = [row.channel] if row.role != "promotion" else [row.channel, CHANNEL_CODE["ads"]]
        for channel in channels:
            parts.append(
                np.stack(
                    [
                        day,
                        np.full(len(day), code),
                        np.full(len(day), channel),
                        shown,
                        clicks,
                        np.rint(cost / len(channels)).astype(int),
                    ]
                )
            )
    table = np.concatenate(parts, axis=1) if parts else np.zeros((6, 0), dtype=int)
    table = table[:, np.lexsort((table[2], table[1], table[0]))]
    return dict(
        zip(("day", "campaign", "channel", "impressions", "clicks", "cost"), table, strict=True)
    )
