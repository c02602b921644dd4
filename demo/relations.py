"""Relationships of people with brands: memberships, follows, contacts, groups, referrals."""

from __future__ import annotations

import numpy as np

from demo import identifiers as ids
from demo.people import CHURNED, LOYAL
from demo.rows import (
    Behaviour,
    draw_later,
    draw_seconds,
    horizon,
    identify,
    rows,
    staff_of,
)
from demo.text import DAY_SECONDS, mix
from demo.vocabulary import (
    BRANDS,
    CHANNEL_CODE,
    EVENT_CODE,
    GROUPS_PER_BRAND,
    SOURCE_CODE,
    STORES,
)


def memberships(done: Behaviour) -> None:
    people = done.people
    rng = people.rng("memberships")
    n, end = people.n, horizon(people)
    people.joined = np.full((n, len(BRANDS)), -1)
    people.quit = np.full((n, len(BRANDS)), -1)
    store_of = [[s for s, row in enumerate(STORES) if row.brand == b] for b in range(len(BRANDS))]
    for brand in range(len(BRANDS)):
        draw = rng.random(n)
        joins = people.has[:, ids.MEMBER] & (
            (people.brand == brand) | ((people.second_brand == brand) & (draw < 0.45))
        )
        who = np.flatnonzero(joins)
        m = len(who)
        span = people.ends[who] - people.begins[who]
        day = people.begins[who] + (span * 0.4 * rng.random(m) ** 2).astype(int)
        joined = day * DAY_SECONDS + draw_seconds(rng, m)
        people.joined[who, brand] = joined
        at_store = rng.random(m) < 0.2
        app = people.has[who, ids.MINIPROGRAM + brand]
        channel = np.where(app, CHANNEL_CODE["miniprogram"], CHANNEL_CODE["tmall"])
        store = np.where(at_store, rng.choice(store_of[brand], m), -1)
        channel = np.where(at_store, np.array([s.channel for s in STORES])[store], channel)
        staff = np.where(at_store, staff_of(people, who, brand), -1)
        kind = np.where(rng.random(m) < 0.9, ids.PHONE, -1)
        common = {"person": people.person[who], "brand": brand, "store": store, "staff": staff}
        common |= {"channel": channel} | identify(people, who, kind, SOURCE_CODE["crm"])
        done.add("memberships", rows("memberships", m, t=joined, event=0, tier=0, **common))
        registers = np.flatnonzero(~at_store & app & (joined % DAY_SECONDS > 600))
        done.add(
            "touchpoints",
            rows(
                "touchpoints",
                len(registers),
                t=joined[registers] - 90,
                person=people.person[who[registers]],
                brand=brand,
                source=SOURCE_CODE["miniprogram"],
                event=EVENT_CODE["register"],
                channel=CHANNEL_CODE["miniprogram"],
                **identify(
                    people,
                    who[registers],
                    np.full(len(registers), ids.MINIPROGRAM + brand),
                    SOURCE_CODE["miniprogram"],
                ),
            ),
        )
        chance = np.where(people.kind[who] == LOYAL, 0.8, 0.2)
        left = joined.copy()
        for tier in (1, 2):
            left = draw_later(rng, left, 30, 200)
            reached = np.flatnonzero((rng.random(m) < chance**tier) & (left < end))
            part = {name: np.broadcast_to(value, m)[reached] for name, value in common.items()}
            done.add(
                "memberships",
                rows("memberships", len(reached), t=left[reached], event=2, tier=tier, **part),
            )
        gone = draw_later(rng, left, 5, 300)
        quits = np.flatnonzero(
            (rng.random(m) < np.where(people.kind[who] == CHURNED, 0.35, 0.06)) & (gone < end)
        )
        people.quit[who[quits], brand] = gone[quits]
        part = {name: np.broadcast_to(value, m)[quits] for name, value in common.items()}
        done.add("memberships", rows("memberships", len(quits), t=gone[quits], event=1, **part))
        back = draw_later(rng, gone, 10, 90)
        again = quits[(rng.random(len(quits)) < 0.2) & (back[quits] < end)]
        people.quit[who[again], brand] = -1
        part = {name: np.broadcast_to(value, m)[again] for name, value in common.items()}
        done.add(
            "memberships",
            rows("memberships", len(again), t=back[again], event=0, tier=0, **part),
        )


def relationships(done: Behaviour) -> None:
    """Follows, WeCom contacts and groups, each with some endings."""
    people = done.people
    rng = people.rng("relationships")
    end = horizon(people)
    plan = (
        # base kind, platform, start event, end event, chance of an end, chance at all
        (ids.ACCOUNT, "official_account", "follow", "unfollow", 0.22, 1.0),
        (ids.CONTACT, "wecom", "wecom_add", "wecom_delete", 0.14, 1.0),
        (ids.CONTACT, "community_group", "group_join", "group_leave", 0.25, 0.4),
        (ids.TAOBAO, "tmall", "follow", "unfollow", 0.10, 0.12),
    )
    for brand in range(len(BRANDS)):
        for base, channel, starts, stops, chance_of_end, chance in plan:
            kind = base if base == ids.TAOBAO else base + brand
            has = people.has[:, kind] & people.uses(brand) & (rng.random(people.n) < chance)
            who = np.flatnonzero(has)
            m = len(who)
            span = np.maximum(people.ends[who] - people.begins[who], 1)
            day = people.begins[who] + (span * 0.5 * rng.random(m) ** 2).astype(int)
            begun = day * DAY_SECONDS + draw_seconds(rng, m)
            ended = draw_later(rng, begun, 0.5, 240)
            is_over = (rng.random(m) < chance_of_end) & (ended < end)
            source = SOURCE_CODE[channel if channel in SOURCE_CODE else "wecom"]
            content = np.full(m, -1)
            if channel == "community_group":
                pick = mix(people.person[who], 11) % np.uint64(GROUPS_PER_BRAND)
                content = brand * GROUPS_PER_BRAND + pick.astype(int)
            staff = staff_of(people, who, brand) if base == ids.CONTACT else np.full(m, -1)
            for event, moment, keep in (
                (starts, begun, np.ones(m, dtype=bool)),
                (stops, ended, is_over),
            ):
                at = np.flatnonzero(keep)
                done.add(
                    "touchpoints",
                    rows(
                        "touchpoints",
                        len(at),
                        t=moment[at],
                        person=people.person[who[at]],
                        brand=brand,
                        source=source,
                        event=EVENT_CODE[event],
                        channel=CHANNEL_CODE[channel],
                        content=content[at],
                        staff=staff[at],
                        **identify(people, who[at], np.full(len(at), kind), source),
                    ),
                )


def referrals(done: Behaviour) -> None:
    """Members invite members in chains of up to three; half as many invitations come to nothing."""
    people = done.people
    rng = people.rng("referrals")
    end = horizon(people)
    batch = people.world.deliveries("referrals")
    first_join = np.where(people.joined >= 0, people.joined, end).min(axis=1)
    members = rng.permutation(np.flatnonzero(first_join < end))
    share = len(members) // 10
    inviters, start = members[:share], share
    number = people.index * 10_000_000
    for depth in (1, 2, 3):
        invited = members[start : start + share]
        start += share
        if not len(inviters) or not len(invited):
            return
        by = rng.choice(inviters, len(invited))
        accepted = first_join[invited] - 60
        sent = np.maximum(accepted - rng.integers(600, 5 * DAY_SECONDS, len(invited)), 0)
        works = (first_join[by] < sent) & (by != invited)
        # An invitation that cannot have happened becomes one that nobody accepted.
        sent = np.where(works, sent, first_join[by] + 3_600)
        keep = np.flatnonzero(works | ((rng.random(len(invited)) < 0.5) & (sent < end)))
        by, invited, accepted, sent, works = (x[keep] for x in (by, invited, accepted, sent, works))
        m = len(by)
        accepted = np.where(works, accepted, -1)
        contact = people.has[invited, ids.PHONE]
        kind2 = np.where(works, np.where(contact, ids.PHONE, ids.MEMBER), -1)
        other = identify(people, invited, kind2, SOURCE_CODE["miniprogram"])
        late = works & (batch[accepted // DAY_SECONDS] > batch[sent // DAY_SECONDS])
        common = {
            "t": sent,
            "person": people.person[by],
            "referral": number + np.arange(m),
            **identify(people, by, np.full(m, ids.MEMBER), SOURCE_CODE["crm"]),
        }
        number += m
        known = works & ~late
        done.add(
            "referrals",
            rows(
                "referrals",
                m,
                invitee=np.where(known, people.person[invited], -1),
                depth=np.where(known, depth, 0),
                kind2=np.where(known, kind2, -1),
                owner2=other["owner"],
                surface2=other["surface"],
                accepted=np.where(known, accepted, -1),
                final=~late,
                **common,
            ),
        )
        at = np.flatnonzero(late)
        done.add(
            "referrals",
            rows(
                "referrals",
                len(at),
                day=accepted[at] // DAY_SECONDS,
                invitee=people.person[invited[at]],
                depth=depth,
                kind2=kind2[at],
                owner2=other["owner"][at],
                surface2=other["surface"][at],
                accepted=accepted[at],
                final=True,
                **{name: value[at] for name, value in common.items()},
            ),
        )
        inviters = invited[works]
