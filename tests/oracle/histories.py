"""Random small histories that crowd the edges: ends of windows, same-day ties, refunds on the last day, members who
quit, the leap day, midnight in another time zone, two brands, customers merged and split in mid-history. One landing holds many: each history has its own two
brands and people, so that one build answers for all of them and every figure is compared per history."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

from tests.oracle.channels import DOMAINS

AS_OF = datetime(2024, 4, 12)
EDGES = [
    1,
    6,
    7,
    8,
    9,
    10,
    14,
    15,
    16,
    29,
    30,
    31,
    89,
    90,
    91,
    92,
    179,
    180,
    181,
    364,
    365,
    366,
    909,
    910,
    911,
]
EVENTS = [
    "ad_impression",
    "ad_click",
    "search_category",
    "search_brand",
    "content_view",
    "product_view",
    "product_view",
    "product_view",
    "store_view",
    "live_watch",
    "live_watch",
    "store_visit",
    "login",
    "register",
    "follow",
    "follow",
    "unfollow",
    "wecom_add",
    "wecom_delete",
    "group_join",
    "group_leave",
    "message_in",
    "interact",
    "comment",
    "share",
    "favorite",
    "cart_add",
    "cart_remove",
    "coupon_claim",
    "coupon_use",
    "sample_claim",
    "points_earn",
    "points_redeem",
    "review",
    "review",
    "review",
]


class Landing:
    """Rows by entity and batch, written as CSV."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[dict]] = {}
        self.withdrawn: list[dict] = []

    def add(self, entity: str, batch: str, **row) -> dict:
        self.rows.setdefault((entity, batch), []).append(row)
        return row

    def write(self, root: Path, batches=None) -> None:
        """The chosen batches as they were landed first; without a choice all of them, less what was withdrawn."""
        for (entity, batch), rows in self.rows.items():
            if batches is None:
                rows = [row for row in rows if not any(row is gone for gone in self.withdrawn)]
            elif batch not in batches:
                continue
            folder = root / entity / (f"dt={batch}" if batch else "")
            folder.mkdir(parents=True, exist_ok=True)
            columns = list(dict.fromkeys(c for row in rows for c in row))
            with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as handle:
                writer = csv.DictWriter(handle, columns)
                writer.writeheader()
                writer.writerows(rows)


def make(count: int, seed: int) -> Landing:
    """`count` histories. Rows up to the first batch date arrive with it, save one in ten that comes late."""
    landing = Landing()
    for number in range(count):
        _history(landing, number, random.Random(f"{seed}-{number}"))
    return landing


FIRST_BATCH = (AS_OF - timedelta(days=20)).strftime("%Y-%m-%d")
LAST_BATCH = AS_OF.strftime("%Y-%m-%d")
# A dated batch knows nothing of days after its own; what has no date may.
UNDATED = ""


def _history(landing: Landing, number: int, rng: random.Random) -> None:
    length = rng.choice([20, 45, 45, 120, 120, 200, 400, 400, 1000])
    brands = [f"h{number}a", f"h{number}b"]
    if number % 7 == 0:
        brands[0] = "default"
    anchors = [AS_OF - timedelta(days=rng.randrange(length)) for _ in range(2)]
    if rng.random() < 0.3:
        anchors.append(datetime(2024, 2, 29))
    if rng.random() < 0.5:
        anchors.append(AS_OF)
    serial = iter(range(10**6))

    def moment() -> datetime:
        """A time at, or an edge away from, a moment that already matters."""
        for _ in range(20):
            day = rng.choice(anchors) + timedelta(
                days=rng.choice([0, 0, 0, 1, -1, *rng.sample(EDGES, 4)]) * rng.choice([1, 1, -1])
            )
            if AS_OF - timedelta(days=length) <= day <= AS_OF:
                break
        else:
            day = AS_OF
        if len(anchors) < 8:
            anchors.append(day)
        clock = rng.choice(
            [
                (0, 0, 0),
                (23, 59, 59),
                (12, 0, 0),
                (12, 0, 0),
                (rng.randrange(24), rng.randrange(60), 0),
            ]
        )
        return day.replace(hour=clock[0], minute=clock[1], second=clock[2])

    def written(at: datetime) -> str:
        style = rng.random()
        if style < 0.6:
            return at.strftime("%Y-%m-%d %H:%M:%S")
        if style < 0.8:
            return (at - timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (at - timedelta(hours=13)).strftime("%Y-%m-%dT%H:%M:%S") + "-05:00"

    def batch(at: datetime) -> str:
        late = rng.random() < 0.1
        return FIRST_BATCH if at.strftime("%Y-%m-%d") <= FIRST_BATCH and not late else LAST_BATCH

    for person in range(rng.choice([1, 2, 3, 4])):
        member = f"m{number}-{person}"
        who = {"identifier_type": "member_id", "identifier_value": member}
        known_as = [who, *_other_numbers(landing, rng, f"{number}-{person}", member)]
        for _ in range(rng.choice([0, 2, 5, 12, 25])):
            at, kind = moment(), rng.choice(EVENTS)
            value = {
                "review": rng.choice(["", "3", "4", "5"]),
                "live_watch": rng.choice(["", "0", "9", "9.5", "10", "60"]),
            }
            for _ in range(rng.choice([1, 1, 1, 2])):
                landing.add(
                    "touchpoints",
                    batch(at),
                    event_id=f"e{number}-{person}-{next(serial)}",
                    source_system="x",
                    brand_id=rng.choice(brands),
                    occurred_at=written(at),
                    event_type=kind,
                    channel=rng.choice(["tmall", "store", "miniprogram"]),
                    **rng.choice(known_as),
                    staff_id=rng.choice(["s1", "s2"]),
                    content_id=rng.choice(["g1", "g2"]),
                    value=value.get(kind, ""),
                )
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            at = moment()
            landing.add(
                "memberships",
                batch(at),
                brand_id=rng.choice(brands),
                member_id=member,
                event=rng.choice(["join", "join", "quit", "tier"]),
                occurred_at=written(at),
                tier=["", "t1", "t2"][at.day % 3],
                channel=["store", "", "tmall"][at.day % 3],
                **who,
            )
        for _ in range(rng.choice([0, 0, 1, 2, 4, 6])):
            _order(
                landing,
                rng,
                moment,
                written,
                batch,
                brands,
                rng.choice(known_as),
                f"o{number}-{person}-{next(serial)}",
            )
        for _ in range(rng.choice([0, 0, 1, 2])):
            at = moment()
            landing.add(
                "messages",
                batch(at),
                message_id=f"x{number}-{person}-{next(serial)}",
                channel="sms",
                campaign_id=rng.choice(["", *(f"c{b}" for b in brands)]),
                **rng.choice(known_as),
                sent_at=written(at),
                delivered_at=rng.choice(["", written(at)]),
            )
        if rng.random() < 0.3:
            at = moment()
            landing.add(
                "referrals",
                batch(at),
                referral_id=f"r{number}-{person}",
                inviter_type="member_id",
                inviter_value=member,
                invited_at=written(at),
                accepted_at=rng.choice(["", written(at)]),
            )
    _edge_people(landing, number, rng, brands[1])
    for brand in brands:
        landing.add(
            "campaigns",
            FIRST_BATCH,
            campaign_id=f"c{brand}",
            brand_id=brand,
            name=brand,
            scenario="promotion",
            starts_on="2021-01-01",
            ends_on="2024-12-31",
        )


def _other_numbers(landing: Landing, rng: random.Random, person: str, member: str) -> list[dict]:
    """Other numbers under which the person is logged, and the links that say so: landed at once, late (a merge),
    withdrawn later (a split) or never."""
    numbers = [f"n{person}-{i}" for i in range(rng.choice([0, 0, 1, 2]))]
    linked_to = [("member_id", member)]
    for value in numbers:
        fate = rng.choice(["at once", "late", "late", "withdrawn", "never"])
        left_type, left_value = rng.choice(linked_to)
        if fate != "never":
            row = landing.add(
                "identity_links",
                LAST_BATCH if fate == "late" else FIRST_BATCH,
                source_system="x",
                left_type=left_type,
                left_value=left_value,
                right_type="customer_no",
                right_value=value,
                linked_at=rng.choice(["", "2024-03-20 10:00:00"]),
            )
            if fate == "withdrawn":
                landing.withdrawn.append(row)
        linked_to.append(("customer_no", value))
    return [{"identifier_type": "customer_no", "identifier_value": value} for value in numbers]


def _edge_people(landing: Landing, number: int, rng: random.Random, brand: str) -> None:
    """People of whom only one thing is known, and that thing lies on an edge that chance seldom hits."""

    def someone(name: str) -> dict:
        return {"identifier_type": "member_id", "identifier_value": f"m{number}-{name}"}

    def touch(
        name: str,
        number_: int,
        at: datetime,
        kind: str,
        channel: str = "tmall",
        batch: str = LAST_BATCH,
        brand: str = brand,
        value: str = "",
    ) -> None:
        landing.add(
            "touchpoints",
            batch,
            event_id=f"e{number}-{name}-{number_}",
            source_system="x",
            brand_id=brand,
            occurred_at=at.strftime("%Y-%m-%d %H:%M:%S"),
            event_type=kind,
            channel=channel,
            value=value,
            **someone(name),
        )

    def buy(
        name: str,
        at: datetime,
        back: datetime | None = None,
        paid: str = "",
        batch: str = LAST_BATCH,
        by: str = "",
    ) -> None:
        landing.add(
            "orders",
            batch,
            order_id=f"o{number}-{name}",
            source_system="x",
            brand_id=brand,
            **someone(by or name),
            ordered_at=at.strftime("%Y-%m-%d"),
            paid_at=paid,
            status="paid",
            amount=10,
            **_told_of_order(f"o{number}-{name}"),
        )
        if back is not None:
            landing.add(
                "refunds",
                LAST_BATCH,
                refund_id=f"o{number}-{name}-r",
                source_system="x",
                order_id=f"o{number}-{name}",
                refunded_at=back.strftime("%Y-%m-%d"),
                amount=10,
                **someone(name),
            )

    # One purchase, whose longest window ends about today.
    buy("window", AS_OF - timedelta(days=rng.choice([365, 909, 910, 911]) + rng.choice([-1, 0, 1])))
    # A relationship that begins and ends in the same second.
    together = AS_OF - timedelta(days=rng.randrange(1, 12), hours=-9)
    for i, kind in enumerate(rng.sample(["follow", "unfollow"], 2)):
        touch("tie", i, together, kind)
    # Out of all stages on the first day of a month or a week, and back in it.
    start = rng.choice([datetime(2024, 4, 1), datetime(2024, 3, 1), datetime(2024, 4, 8)])
    touch("back", 0, start - timedelta(days=15), "ad_impression")
    touch("back", 1, start + timedelta(days=rng.choice([1, 3])), "ad_impression")
    # Who bought once and brought somebody in, for the brand of the card that was live on the day of the invitation.
    buy("inviter", AS_OF - timedelta(days=100))
    for event, days in (("join", 60), ("quit", 45 if number % 2 else 50)):
        landing.add(
            "memberships",
            LAST_BATCH,
            brand_id=brand,
            member_id=f"m{number}-inviter",
            event=event,
            occurred_at=f"{AS_OF - timedelta(days=days):%Y-%m-%d} 09:00:00",
        )
    landing.add(
        "referrals",
        LAST_BATCH,
        referral_id=f"r{number}-inviter",
        inviter_type="member_id",
        inviter_value=f"m{number}-inviter",
        invited_at=f"{AS_OF - timedelta(days=50):%Y-%m-%d} 12:00:00",
        accepted_at=f"{AS_OF - timedelta(days=(0, 1, 40)[number % 3]):%Y-%m-%d} 12:00:00",
    )
    # A member who bought in a month and gave it back in it, or after it.
    landing.add(
        "memberships",
        LAST_BATCH,
        brand_id=brand,
        member_id=f"m{number}-refund",
        event="join",
        tier="t1",
        occurred_at="2024-02-20 10:00:00",
        **someone("refund"),
    )
    touch("refund", 0, datetime(2024, 3, 10, 9), "store_visit")
    buy(
        "refund",
        datetime(2024, 3, 10),
        datetime(2024, 3, rng.choice([11, 31])) if rng.random() < 0.7 else datetime(2024, 4, 1),
    )
    # A member who joins again and quits in one second, and a stranger who does.
    for name, days in (("card", (9, 3, 3)), ("cards", (3, 3))):
        for back, event in zip(days, ("join", "quit", "join")[-len(days) :], strict=True):
            landing.add(
                "memberships",
                LAST_BATCH,
                brand_id=brand,
                member_id=f"m{number}-{name}",
                event=event,
                tier=f"t{back}",
                occurred_at=(AS_OF - timedelta(days=back)).strftime("%Y-%m-%d 10:00:00"),
                **someone(name),
            )
    # What names no channel, a channel that the seed has not, and two channels in one second.
    touch("nowhere", 0, AS_OF - timedelta(days=9), "login", "")
    touch("nowhere", 1, AS_OF - timedelta(days=8), "login", "nowhere")
    touch("nowhere", 2, AS_OF - timedelta(days=7), "login", "jd")
    touch("after", 0, AS_OF - timedelta(days=7), "login", "tmall")
    touch("silent", 0, AS_OF - timedelta(days=9), "login", "")
    touch("both", 0, AS_OF - timedelta(days=6), "login", "tmall")
    touch("both", 1, AS_OF - timedelta(days=6), "login", "jd")
    # The same order number in two shops, each with its lines, one of a product that nobody has described.
    buy("shop", AS_OF - timedelta(days=4))
    landing.add(
        "orders",
        LAST_BATCH,
        order_id=f"o{number}-shop",
        source_system="y",
        brand_id=brand,
        **someone("shops"),
        ordered_at=(AS_OF - timedelta(days=3)).strftime("%Y-%m-%d"),
        status="created" if number % 2 else "paid",
        amount=30,
    )
    for system, order, line, product, quantity in (
        ("x", "shop", 1, "tea", 2),
        ("x", "shop", 2, "tea", 3),
        ("y", "shop", 1, "cup", 1),
        ("y", "shop", 2, "nobody knows", 4),
        ("x", "never landed", 1, "tea", 1),
        ("x", "window", 1, "box", 5),
    ):
        landing.add(
            "order_lines",
            LAST_BATCH,
            source_system=system,
            order_id=f"o{number}-{order}",
            line_number=line,
            product_id=f"{product}{number}",
            quantity=quantity,
            line_amount=quantity * 5,
        )
    for product, cost in (("tea", "1.5"), ("cup", "2"), ("box", "")):
        landing.add(
            "products",
            FIRST_BATCH,
            product_id=f"{product}{number}",
            brand_id=brand,
            category=f"{product}s",
            name=product,
            list_price="10",
            unit_cost=cost,
        )
    # Each thing alone, long enough ago for the days to show when it stopped to count; and what a member may do.
    for kind in sorted({*EVENTS})[number % 8 :: 8]:
        touch(
            f"only {kind}",
            0,
            AS_OF - timedelta(days=100),
            kind,
            value="5" if kind == "review" else "",
        )
        landing.add(
            "memberships",
            LAST_BATCH,
            brand_id=brand,
            member_id=f"m{number}-member {kind}",
            event="join",
            occurred_at=f"{AS_OF - timedelta(days=250):%Y-%m-%d} 09:00:00",
        )
        touch(f"member {kind}", 0, AS_OF - timedelta(days=240), kind)
    # Two days of views and of purchases, as far apart as the rules still put together, and a day further.
    for apart in ((14, 15), (89, 90), (90, 91), (364, 365))[number % 4]:
        for n, back in enumerate((100 + apart, 100)):
            touch(f"views {apart}", n, AS_OF - timedelta(days=back), "product_view")
            buy(f"buys {apart} {n}", AS_OF - timedelta(days=back), by=f"buys {apart}")
    # A look at a shop one day and at a product another.
    touch("looker", 0, AS_OF - timedelta(days=60), "store_view")
    touch("looker", 1, AS_OF - timedelta(days=50), "product_view")
    # Who gave back two purchases of different days, on different days, and kept a third.
    for n, (bought, returned) in enumerate(((200, 150), (120, 60), (40, None))):
        back = None if returned is None else AS_OF - timedelta(days=returned)
        buy(f"returns {n}", AS_OF - timedelta(days=bought), back, by="returns")
    # Who bought once and found it fair, and who found it good.
    for name, value in (("critic", "3"), ("praiser", "4")):
        buy(name, AS_OF - timedelta(days=20))
        touch(name, 0, AS_OF - timedelta(days=10), "review", value=value)
    # A stream that was watched nobody knows how long.
    touch("watcher", 0, AS_OF - timedelta(days=2), "live_watch")
    # Given back on the day of the purchase, which is today.
    buy("today", AS_OF, AS_OF)
    # Bought by nobody and given back by somebody; given back, of an order that never landed.
    for order, who in (("nobody", {}), ("lost", None)):
        if who is not None:
            landing.add(
                "orders",
                LAST_BATCH,
                order_id=f"o{number}-{order}",
                source_system="x",
                brand_id=brand,
                ordered_at=(AS_OF - timedelta(days=6)).strftime("%Y-%m-%d"),
                status="paid",
                channel="tmall",
                amount=8,
            )
        landing.add(
            "refunds",
            LAST_BATCH,
            refund_id=f"o{number}-{order}-r",
            source_system="x",
            order_id=f"o{number}-{order}",
            brand_id=f"h{number}r",
            refunded_at=(AS_OF - timedelta(days=5)).strftime("%Y-%m-%d"),
            amount=8,
            **someone("returner"),
        )
    # Met by one brand when another met him first, in another channel.
    for i, (name, channel, back) in enumerate(
        ((brand, "tmall", 8), (brand, "jd", 6), (f"h{number}q", "store", 6))
    ):
        touch("twice met", i, AS_OF - timedelta(days=back), "login", channel, brand=name)
    # A follower of no channel that is named; a follower of two brands at once.
    touch("plain", 0, AS_OF - timedelta(days=8), "follow", "")
    touch("plain", 1, AS_OF - timedelta(days=4), "unfollow", "")
    touch("fan", 0, AS_OF - timedelta(days=7), "follow", "jd")
    touch("fan", 1, AS_OF - timedelta(days=6), "follow", "jd", brand=f"h{number}q")
    touch("fan", 2, AS_OF - timedelta(days=5), "unfollow", "jd", brand=f"h{number}q")
    touch("fan", 3, AS_OF - timedelta(days=3), "unfollow", "jd")
    # Two who join in one second, one of them to two tiers at once.
    for name, tier in (("joiner", "t1"), ("other joiner", "t3")):
        for event in ("join", "tier"):
            landing.add(
                "memberships",
                LAST_BATCH,
                brand_id=brand,
                member_id=f"m{number}-{name}",
                event=event,
                tier=tier if event == "join" else "t2",
                occurred_at=(AS_OF - timedelta(days=4)).strftime("%Y-%m-%d 10:00:00"),
                **someone(name),
            )
    # Somebody for each of a few channels, all of them in eight histories.
    for channel in list(DOMAINS)[number % 8 :: 8]:
        touch(f"via {channel}", 0, AS_OF - timedelta(days=30), "ad_click", channel)
    # A follower for a day beside one for longer.
    day = AS_OF - timedelta(days=5)
    touch("morning", 0, day + timedelta(hours=9), "follow")
    touch("morning", 1, day + timedelta(hours=20), "unfollow")
    touch("noon", 0, day + timedelta(hours=12), "follow")
    # A brand that has only written so far.
    landing.add(
        "campaigns",
        FIRST_BATCH,
        campaign_id=f"q{number}",
        brand_id=f"h{number}q",
        name="q",
        scenario="promotion",
        starts_on="2021-01-01",
        ends_on="2024-12-31",
    )
    for back in (100, 40):
        sent = (AS_OF - timedelta(days=back)).strftime("%Y-%m-%d 10:00:00")
        landing.add(
            "messages",
            LAST_BATCH,
            message_id=f"q{number}-{back}",
            channel="sms",
            campaign_id=f"q{number}",
            sent_at=sent,
            delivered_at=sent,
            **someone("reader"),
        )
    # Tomorrow is not seen: a visit, an order, and a payment for an order of today.
    tomorrow = AS_OF + timedelta(days=1)
    touch("early", 0, tomorrow, "cart_add", batch=UNDATED)
    buy("early", tomorrow, batch=UNDATED)
    buy("later", AS_OF, paid=tomorrow.strftime("%Y-%m-%d %H:%M:%S"), batch=UNDATED)
    # A buyer who was not asked who he is, with one unit back and the rest.
    anonymous = {"identifier_type": "", "identifier_value": "", "brand_id": brand}
    landing.add(
        "orders",
        LAST_BATCH,
        order_id=f"o{number}-anonymous",
        source_system="x",
        ordered_at="2024-03-03 10:00:00",
        paid_at="",
        status="completed",
        amount=10,
        **anonymous,
        **_told_of_order(f"o{number}-anonymous"),
    )
    for n, (day, amount) in enumerate(((4, 1), (6, 9), (7, 1))):
        landing.add(
            "refunds",
            LAST_BATCH,
            refund_id=f"o{number}-anonymous-{n}",
            source_system="x",
            order_id=f"o{number}-anonymous",
            refunded_at=f"2024-03-{day:02} 10:00:00",
            amount=amount,
            **anonymous,
        )


def _told_of_order(order_id: str) -> dict:
    """Columns that no stage asks for. A chance of their own, so that they change nothing else of the history."""
    chance = random.Random(order_id)
    return {
        "channel": chance.choice(["tmall", "jd", "store", "nowhere", ""]),
        "discount_amount": chance.choice(["", 0, 2.5]),
        "store_id": chance.choice(["", "s7"]),
    }


def _order(landing, rng, moment, written, batch, brands, who, order_id) -> None:
    at = moment()
    amount = rng.choice([0, 1, 10, 10, 99.5])
    ordered = at - timedelta(days=rng.choice([0, 0, 0, 1]))
    paid = rng.choice(["", written(at)])
    landing.add(
        "orders",
        batch(at),
        order_id=order_id,
        source_system="x",
        brand_id=rng.choice(brands),
        **who,
        ordered_at=written(ordered if paid else at),
        paid_at=paid,
        status=rng.choice(
            ["paid", "paid", "shipped", "completed", "completed", "created", "cancelled"]
        ),
        amount=amount,
        **_told_of_order(order_id),
    )
    if rng.random() < 0.5 and amount:
        shares = rng.choice([[1], [1], [0.4, 0.6], [0.5], [0.4, 0.7]])
        back = at
        for number, share in enumerate(shares):
            back = back + timedelta(days=rng.choice([0, 0, 1, *rng.sample(EDGES, 2)]))
            if rng.random() < 0.2:
                back = AS_OF
            if back > AS_OF.replace(hour=23, minute=59, second=59):
                break
            landing.add(
                "refunds",
                batch(max(back, at)),
                refund_id=f"{order_id}-{number}",
                source_system="x",
                order_id=order_id,
                refunded_at=written(back),
                amount=round(amount * share, 2),
                **who,
            )
