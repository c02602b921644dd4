"""AARRR, FAST+ and the private domain against loops written from METRICS.md alone (tests/oracle/growth.py): on the demo
world, and on a hundred small random brands whose facts crowd the ends of windows."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import duckdb
import pyarrow as pa
import pytest
from compiled import Warehouse, compiled
from support import ask

from tests.oracle.growth import KEEPS, differences, plus, read, wrong_roles

AS_OF = date(2026, 5, 31)
FIRST = AS_OF - timedelta(days=430)
BRANDS = 100
VALUE = [
    "int_value__observations", "int_value__purchase_days", "int_value__category_days", "int_value__gaps", "int_value__cycles",
    "int_value__person_cycles", "int_value__acquisitions", "fct_consent_spells", "int_value__reach", "int_stages__origins",
    "int_campaigns__messages",
]  # fmt: skip
GROWTH = [
    "int_growth__scopes", "int_growth__channel_days", "int_private__reach_spells", "int_private__staff_touches",
    "int_growth__registrations", "fct_referrals", "int_growth__referrals", "aarrr_daily", "aarrr_periods", "retention_daily",
    "retention_entries", "recall_performance", "referral_cycles", "referral_chains", "fast_plus_periods", "group_pull",
    "crowd_matrix", "butterfly", "private_reach_daily", "private_sink", "private_customers", "private_tools",
    "staff_funnels", "staff_inheritance", "relationship_churn", "campaign_loops",
]  # fmt: skip
BACKS = [
    0,
    1,
    2,
    6,
    7,
    8,
    13,
    14,
    29,
    30,
    31,
    32,
    59,
    60,
    61,
    89,
    90,
    91,
    92,
    120,
    123,
    180,
    364,
    365,
    366,
    395,
]
CHANNELS = ["tmall", "miniprogram", "community_group", "wecom", "ads", "store", None, "nowhere"]
EVENTS = [
    "product_view", "content_view", "login", "register", "ad_click", "message_in", "coupon_claim", "coupon_use",
    "live_watch", "review", "ad_impression", "points_earn", "share", "follow", "unfollow", "store_view", "store_visit",
    "search_brand", "cart_add", "cart_remove", "interact", "sample_claim", "points_redeem", "wecom_add", "wecom_delete",
    "group_join", "group_leave", "a_new_kind",
]  # fmt: skip


def at(chance: random.Random) -> date:
    """A day near an edge of some window."""
    return AS_OF - timedelta(days=max(0, chance.choice(BACKS) + chance.choice([-1, 0, 0, 1])))


def span(chance: random.Random) -> tuple[date, date | None]:
    a, b = sorted((at(chance), at(chance)))
    return (a, None if a == b or chance.random() < 0.4 else b)


def customers(chance: random.Random, first_key: int, rows: dict[str, list]) -> None:
    """Seven customers, the last one an anonymous visitor."""
    people = [first_key + n for n in range(7)]
    for n, key in enumerate(people):
        rows["owners"] += [
            (key * 10 + i, key, f"C{key}", n == 6, None, None) for i in range(1 + n % 2)
        ]
        known = (chance.choice([None, "x"]) for _ in range(7))
        rows["dim"].append((key, f"C{key}", n == 6, n, *known))
    # A tablet goes from one of them to another.
    tablet, handed_over = first_key * 10 + 9, datetime.combine(at(chance), time())
    for key, since, until in ((people[0], None, handed_over), (people[1], handed_over, None)):
        rows["owners"].append((tablet, key, f"C{key}", False, since, until))


def ago(chance: random.Random, *backs: int) -> date:
    return AS_OF - timedelta(days=chance.choice(backs))


def member(brand: str, key: int, number: int, a: date, b: date | None, rows: dict) -> None:
    """A card, and what the layers below make of it."""
    card = key * 100 + int(brand[1:]) % 2 * 10 + number
    rows["memberships"].append((brand, key, card, a, b, [None, "store", "tmall"][key % 3]))
    rows["relationships"].append((brand, key, "member", str(card), a, b))
    rows["stages"].append(("fast_members_30d", brand, key, "active", 2, a, b))


def newcomers(chance: random.Random, brand: str, people: list[int], rows: dict[str, list]) -> None:
    """Two who come on one of the first days, by one channel, and come back together, one of them twice a day."""
    day, channel, keep = plus(FIRST, chance.randrange(4)), chance.choice(CHANNELS), [0, *KEEPS]
    for key in people[2:4]:
        for n in keep:
            for kind in ["login"] * (1 + (n in (0, 7) and key == people[2])):
                rows["touchpoints"].append((brand, key, plus(day, n), kind, channel, None, None))


def served_by_staff(
    chance: random.Random, brand: str, people: list[int], rows: dict[str, list]
) -> None:
    """Contacts of one of the staff who are met, buy, are served, buy again and tell others on the edges of the days that
    each step has."""
    started = ago(chance, 123, 124, 180, 300)
    for key in people[:6]:
        added = min(AS_OF, plus(started, chance.choice([0, 0, 1])))
        rows["relationships"].append((brand, key, "wecom_contact", "s6", added, None))
        met = plus(added, chance.choice([0, 3, 3, 3, 4]))
        bought = plus(met, chance.choice([0, 30, 30, 31]))
        kinds = (chance.choice(["message_in", "message_in", "follow"]) for _ in range(3))
        days = [met, plus(bought, chance.choice([0, 1, 14, 14, 15]))]
        if chance.random() < 0.2:
            days.append(plus(added, 100))
        for kind, day in zip(kinds, days, strict=False):
            rows["touchpoints"].append((brand, key, day, kind, "wecom", "s6", None))
        orders = [bought]
        if chance.random() < 0.6:
            orders.append(plus(bought, chance.choice([1, 89, 90, 90, 91])))
        for n, day in enumerate(day for day in orders if day <= AS_OF):
            order = (f"{brand}s{key}-{n}", brand, key, day, "wecom", "private", None, "s6", 9, True)
            rows["orders"].append(order)
        for n in range(chance.choice([0, 0, 1, 2])):
            told = plus(bought, chance.choice([0, 90, 90, 91]))
            guest = chance.choice(people) * 10
            rows["referrals"].append(
                (f"{brand}t{key}-{n}", key * 10, guest, told, told if told <= AS_OF else None)
            )


def left_by_staff(
    chance: random.Random, brand: str, people: list[int], rows: dict[str, list]
) -> None:
    """One of the staff leaves, one of those who could take over has left before or leaves soon, another one stays."""
    gone = ago(chance, 29, 30, 31, 59, 60, 61, 62, 120)
    rows["departures"] += [
        (brand, "s7", gone),
        (brand, "s8", min(AS_OF, plus(gone, chance.choice([-9, -1, 0, 1, 9, 20, 31])))),
    ]
    for key in people[:6]:
        since = plus(gone, -chance.choice([1, 1, 40]))
        until = chance.choice([None, None, gone, plus(gone, 1), plus(gone, -1)])
        if until is None or since < until:
            rows["relationships"].append((brand, key, "wecom_contact", "s7", since, until))
        for staff in ("s8", "s9"):
            if chance.random() < 0.7:
                taken = plus(gone, chance.choice([-20, 0, 1, 10, 30, 31]))
                lost = chance.choice([None, *(plus(max(gone, taken), n) for n in (1, 30, 31))])
                if taken <= AS_OF:
                    lost = lost if lost and lost <= AS_OF else None
                    rows["relationships"].append((brand, key, "wecom_contact", staff, taken, lost))


def handed_down(
    chance: random.Random, brand: str, people: list[int], rows: dict[str, list]
) -> None:
    """A chain of invitations among members, of which everybody makes two on one day."""
    day = ago(chance, 60, 90, 120)
    for n, (inviter, guest) in enumerate(pairwise(people[: chance.choice([3, 4])])):
        member(brand, inviter, 0, FIRST, None, rows)
        rows["referrals"].append((f"{brand}c{n}", inviter * 10, guest * 10, plus(day, n), day))
        rows["referrals"].append((f"{brand}d{n}", inviter * 10, None, plus(day, n), None))
        day = plus(day, n + 1)


def butterflies(
    chance: random.Random, brand: str, people: list[int], rows: dict[str, list]
) -> None:
    """Somebody buys for the first time, tells a friend on the edges of the days that count, and buys more twice."""
    first = plus(AS_OF, -chance.choice([405, 410]))
    member(brand, people[4], 0, first, None, rows)
    again = [first, plus(first, 10), plus(first, 20)]
    for n, day in enumerate(again):
        order = f"{brand}f{n}"
        rows["orders"].append(
            (order, brand, people[4], day, "store", "offline", None, None, 5 + n, True)
        )
        rows["lines"].append((order, brand, people[4], day, ["tea", "oil", "rice"][n], True))
    told = plus(first, chance.choice([0, 0, 90, 91]))
    rows["referrals"].append((f"{brand}g", people[4] * 10, people[5] * 10, told, told))


def lapsed(chance: random.Random, brand: str, people: list[int], rows: dict[str, list]) -> None:
    """Somebody who bought long ago, now and then on the day of the message again, comes back first and buys then."""
    sent = ago(chance, 30, 31, 40)
    bought = [plus(sent, -360), *([sent] if chance.random() < 0.5 else [])]
    back = plus(sent, chance.choice([3, 30]))
    for n, day in enumerate([*bought, back]):
        rows["orders"].append(
            (f"{brand}l{n}", brand, people[5], day, "tmall", "public", None, None, 8, True)
        )
    rows["touchpoints"].append((brand, people[5], plus(sent, 1), "share", "tmall", None, None))
    delivered = None if chance.random() < 0.3 else sent
    message = (f"{brand}-sms", people[5] * 10, "sms", sent, delivered, sent, None, None, False)
    rows["messages"].append(message)


def sinking(chance: random.Random, brand: str, people: list[int], rows: dict[str, list]) -> None:
    """Somebody buys twice in a public channel within a month, then follows an account of the brand for the first time."""
    for n, back in enumerate((415, 412)):
        order = (f"{brand}p{n}", brand, people[0], plus(AS_OF, -back), "tmall", "public", None, None, 4, True)  # fmt: skip
        rows["orders"].append(order)
    since = plus(AS_OF, -chance.choice([410, 400]))
    rows["relationships"].append(
        (brand, people[0], "follower", "official_account", since, plus(since, 3))
    )


SCENES = [newcomers, served_by_staff, left_by_staff, handed_down, butterflies, lapsed, sinking]


def history(chance: random.Random, brand: str, first_key: int, rows: dict[str, list]) -> None:
    """Rows of one brand and its customers."""
    people = [first_key + n for n in range(7)]
    tablet = first_key * 10 + 9
    for scene in SCENES:
        if chance.random() < 0.3:
            scene(chance, brand, people, rows)
    holders = {key for of, key, *_ in rows["memberships"] if of == brand}
    campaigns = [f"{brand}-{name}" for name in ("ads", "sms", "wecom")]
    for name, scenario, channel in zip(
        campaigns, ("acquisition", "membership", "growth"), ("ads", "sms", "wecom"), strict=True
    ):
        budget = None if chance.random() < 0.3 else 100
        rows["campaigns"].append((name, brand, name, scenario, channel, FIRST, AS_OF, budget))
    for _ in range(4):
        spent = (at(chance), chance.choice(["ads", None]), 100, 10, chance.randint(1, 50))
        rows["costs"].append((chance.choice([campaigns[0], *campaigns[:2]]), *spent))
    # Nobody knows of it yet.
    rows["costs"].append((campaigns[2], plus(AS_OF, 1), "later", 100, 10, 5))
    for _ in range(chance.randint(5, 45)):
        kind = chance.choice(EVENTS)
        staff = chance.choice(["s1", "s2", "s3", None, None])
        campaign = chance.choice([*campaigns, None, None, None, None])
        rows["touchpoints"].append(
            (
                brand,
                chance.choice(people),
                at(chance),
                kind,
                chance.choice(CHANNELS),
                staff,
                campaign,
            )
        )
    # What happens tomorrow, in a channel of its own, nobody knows yet.
    rows["touchpoints"].append((brand, people[0], plus(AS_OF, 1), "login", "douyin", None, None))
    # Two of the staff talk to one customer on the same day.
    for staff in ("s4", "s5"):
        rows["relationships"].append((brand, people[1], "wecom_contact", staff, FIRST, None))
        rows["touchpoints"].append((brand, people[1], AS_OF, "message_in", "wecom", staff, None))
    for n in range(chance.randint(2, 18)):
        key, day, channel = chance.choice([*people, None]), at(chance), chance.choice(CHANNELS)
        domain = {
            "tmall": "public",
            "ads": "public",
            "store": "offline",
            "nowhere": "unknown",
            None: "unknown",
        }.get(channel, "private")
        amount, campaign, staff = (
            chance.randint(1, 90),
            chance.choice([campaigns[0], campaigns[2], None]),
            chance.choice(["s1", "s3", None]),
        )
        valid = chance.random() < 0.9
        rows["orders"].append(
            (f"{brand}o{n}", brand, key, day, channel, domain, campaign, staff, amount, valid)
        )
        for category in chance.sample(["tea", "oil", "rice"], chance.randint(0, 2)):
            rows["lines"].append((f"{brand}o{n}", brand, key, day, category, valid))
        if key is not None and chance.random() < 0.15:
            rows["refunds"].append(
                (brand, key, min(AS_OF, plus(day, chance.choice([0, 1, 30, 31]))), 1)
            )
    # Two days of a month on which a channel costs, and on which somebody comes by it.
    for n in range(2):
        rows["costs"].append((campaigns[0], plus(FIRST, n), "ads", 100, 10, 7))
        rows["touchpoints"].append((brand, people[2], plus(FIRST, n), "login", "ads", None, None))
    for key in people[:6]:
        for kind, names in (
            ("follower", ["official_account", "tmall", "nowhere"]),
            ("wecom_contact", ["s1", "s2", "s3", ""]),
            ("group_member", ["g1", "g2"]),
        ):
            for name in names:
                if chance.random() < 0.4:
                    rows["relationships"].append((brand, key, kind, name, *span(chance)))
        cards = [span(chance)] if key not in holders and chance.random() < 0.5 else []
        if cards and cards[0][1] and chance.random() < 0.3:
            cards.append((cards[0][1], None))
        for n, (a, b) in enumerate(cards):
            member(brand, key, n, a, b, rows)
            if key == people[3]:  # the card's first day brings something, and that is used at once
                for kind in ("coupon_claim", "coupon_use"):
                    rows["touchpoints"].append((brand, key, a, kind, "miniprogram", None, None))
        for model, names in (
            ("aipl", ["A", "I", "P", "L"]),
            ("lifecycle", ["suspect", "prospect", "single", "repeat", "loyal"]),
        ):
            turns = sorted({at(chance) for _ in range(chance.randint(1, 4))})
            for a, b in zip(turns, [*turns[1:], None], strict=True):
                rank = chance.randrange(len(names))
                if chance.random() < 0.85:
                    rows["stages"].append((model, brand, key, names[rank], rank + 1, a, b))
    for _ in range(chance.randint(4, 24)):
        sent, name = at(chance), chance.choice(campaigns[1:])
        late = [
            None if chance.random() < 0.5 else plus(sent, chance.choice([0, 1, 30]))
            for _ in range(3)
        ]
        failed = chance.choice(["full", None, None, None])
        control = chance.random() < 0.3
        delivered, opened, left = (None, None, None) if control or failed else late
        rows["messages"].append(
            (
                name,
                chance.choice([*(key * 10 for key in people), tablet, tablet]),
                name.split("-")[1],
                sent,
                delivered,
                opened,
                left,
                failed,
                control,
            )
        )
    for n in range(chance.randint(2, 14)):
        invited = at(chance)
        guest = chance.choice([*people, None])
        accepted = None if guest is None else plus(invited, chance.choice([0, 1, 29, 30, 31]))
        rows["referrals"].append(
            (
                f"{brand}r{n}",
                chance.choice([*(key * 10 for key in people[:6]), tablet]),
                guest and guest * 10,
                invited,
                accepted,
            )
        )
    rows["periods"] += [
        (brand, "month", "2026-04", date(2026, 4, 1), date(2026, 4, 30), date(2026, 4, 30), True),
        (brand, "month", "2026-05", date(2026, 5, 1), date(2026, 5, 31), AS_OF, True),
        (brand, "promotion", "sale", date(2026, 5, 29), date(2026, 6, 20), AS_OF, False),
    ]
    if chance.random() < 0.3:
        rows["departures"].append((brand, chance.choice(["s1", "s2"]), at(chance)))
    if chance.random() < 0.04:  # nobody has a way to anybody
        for name in ("relationships", "messages"):
            rows[name] = [row for row in rows[name] if not row[0].startswith(brand)]


TABLES = {
    "owners": ("identity.int_identity__resolution", "identifier_key bigint, customer_key bigint, customer_id text, is_anonymous_visitor boolean, valid_from timestamp, valid_to timestamp"),
    "dim": ("identity.dim_customers", "customer_key bigint, customer_id text, is_anonymous_visitor boolean, personal_id_count int, gender text, birth_date text, phone text, email text, province text, city text, address text"),
    "campaigns": ("staging.stg_landing__campaigns", "campaign_id text, brand_id text, campaign_name text, scenario text, channel text, starts_on date, ends_on date, budget_amount decimal(18, 4)"),
    "costs": ("staging.stg_landing__campaign_costs", "campaign_id text, spent_on date, channel text, impressions bigint, clicks bigint, cost_amount decimal(18, 4)"),
    "touchpoints": ("lifecycle.touches", "brand_id text, customer_key bigint, occurred_on date, event_type text, channel text, staff_id text, campaign_id text"),
    "orders": ("lifecycle.bought", "order_id text, brand_id text, customer_key bigint, purchased_on date, channel text, channel_domain text, campaign_id text, staff_id text, net_amount decimal(18, 4), is_valid_purchase boolean"),
    "lines": ("lifecycle.fct_order_lines", "order_id text, brand_id text, customer_key bigint, purchased_on date, category text, is_valid_purchase boolean"),
    "refunds": ("lifecycle.fct_refunds", "brand_id text, customer_key bigint, refunded_on date, refund_amount decimal(18, 4)"),
    "relationships": ("lifecycle.fct_relationship_spells", "brand_id text, customer_key bigint, relationship text, relationship_key text, valid_from date, valid_to date"),
    "memberships": ("lifecycle.cards", "brand_id text, customer_key bigint, membership_key bigint, valid_from date, valid_to date, join_channel text"),
    "stages": ("lifecycle.int_stages__spells", "model text, brand_id text, customer_key bigint, stage text, stage_rank int, valid_from date, valid_to date"),
    "messages": ("staging.told", "campaign_id text, identifier_key bigint, channel text, sent_on date, delivered_at timestamp, opened_at timestamp, unsubscribed_at timestamp, failed_reason text, is_control boolean"),
    "referrals": ("staging.invited", "referral_id text, inviter_key bigint, invitee_key bigint, invited_on date, accepted_on date"),
    "periods": ("marts.fast_periods", "brand_id text, period_kind text, period_id text, starts_on date, ends_on date, last_on date, is_complete boolean"),
    "departures": ("reference.staff_departures", "brand_id text, staff_id text, left_on date"),
}  # fmt: skip
STAND_INS = {
    "reference.as_of": f"select date '{AS_OF}' as as_of_date",
    "reference.stages": "select * from (values ('lifecycle', 'suspect', 1), ('lifecycle', 'prospect', 2),"
    " ('lifecycle', 'single', 3), ('lifecycle', 'repeat', 4), ('lifecycle', 'loyal', 5), ('another', 'single', 9))"
    " as t (model, stage, rank)",
    "lifecycle.fct_touchpoints": "select *, 's' as source_system, row_number() over () as event_id, content_id: null::text,"
    " cast(occurred_on as timestamp) as occurred_at from lifecycle.touches"
    f" where occurred_on <= date '{AS_OF}'",
    "staging.stg_landing__touchpoints": "select * from lifecycle.touches",
    "lifecycle.fct_orders": "select *, 's' as source_system, case when is_valid_purchase then purchased_on end as valid_from,"
    " null::date as valid_to, net_amount as paid_amount, cast(purchased_on as timestamp) as ordered_at from lifecycle.bought",
    "lifecycle.fct_membership_spells": "select *, cast(valid_from as timestamp) as joined_at from lifecycle.cards",
    "identity.int_identity__customer_map": "select * from identity.int_identity__resolution where valid_to is null",
    "staging.stg_landing__messages": "select *, 'm' || row_number() over () as message_id, cast(sent_on as timestamp) as sent_at, null::timestamp as clicked_at"
    " from staging.told",
    "staging.stg_landing__referrals": "select *, cast(invited_on as timestamp) as invited_at from staging.invited",
    "lifecycle.int_stages__calendar": "select brand_id, cast(unnest(generate_series("
    f"date '{FIRST}', date '{AS_OF}', interval 1 day)) as date) as as_of_date from (select distinct brand_id from marts.fast_periods)",
    "lifecycle.int_stages__daily": "select c.brand_id, s.model, c.as_of_date, count(*) as customers"
    " from lifecycle.int_stages__calendar as c join lifecycle.int_stages__spells as s on c.brand_id = s.brand_id"
    " and c.as_of_date >= s.valid_from and (s.valid_to is null or c.as_of_date < s.valid_to) group by all",
    "marts.clv_customers": "select brand_id, 'C' || customer_key as customer_id,"
    " cast(sum(net_amount) + count(*) as decimal(18, 4)) as clv from lifecycle.fct_orders where customer_key is not null group by all",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("growth"), VALUE + GROWTH)


@pytest.fixture(scope="module")
def brands(models) -> Warehouse:
    return random_brands(models)


def random_brands(models: dict[str, str], count: int = BRANDS) -> Warehouse:
    """A hundred random brands in one warehouse."""
    rows: dict[str, list] = {name: [] for name in TABLES}
    # Two brands at a time have the same customers.
    for n in range(count):
        first_key = 1 + 10 * (n // 2)
        if n % 2 == 0:
            customers(random.Random(-1 - n), first_key, rows)
        history(random.Random(n), f"b{n:02}", first_key, rows)
    warehouse = Warehouse()
    for name in ("channels", "event_types", "growth_event_roles", "category_cycles"):
        warehouse.seed(name)
    for name, (table, columns) in TABLES.items():
        warehouse.connection.execute(f"create table {table} ({columns})")
        landed = pa.table(
            [list(column) for column in zip(*rows[name], strict=True)],
            names=[f"c{n}" for n in range(len(rows[name][0]))],
        )
        warehouse.connection.register("landed", landed)
        warehouse.connection.execute(f"insert into {table} select * from landed")
    warehouse.connection.execute(
        "alter table lifecycle.fct_order_lines add source_system text default 's'"
    )
    # A kind of touch-point to which nobody has given a role.
    warehouse.connection.execute(
        "insert into reference.event_types by name select 'a_new_kind' as event_type"
    )
    for column in ("source_system", "order_id"):
        warehouse.connection.execute(f"alter table lifecycle.fct_refunds add {column} text")
    warehouse.connection.execute(
        "alter table lifecycle.fct_refunds add is_linked boolean default false"
    )
    for name, sql in STAND_INS.items():
        warehouse.table(name, sql.replace("content_id: null::text", "null::text as content_id"))
    for name, sql in models.items():
        warehouse.table(f"{schema(name)}.{name}", sql)
    return warehouse


def schema(model: str) -> str:
    return "lifecycle" if model.startswith(("int_", "fct_")) else "marts"


def days_compared(number: int) -> list[date]:
    return [plus(AS_OF, -back) for back in random.Random(number).sample([*BACKS, 401, 402], 2)]


def test_a_hundred_random_brands_agree_with_the_slow_reading(brands):
    asked = [(read(brands.connection, f"b{n:02}"), days_compared(n)) for n in range(BRANDS)]
    found = differences(brands.connection, asked)
    assert not found, (len(found), found[:20])


def test_the_demo_world_agrees_with_the_slow_reading(warehouse):
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        brands = connection.execute("select distinct brand_id from marts.fast_daily").fetchall()
        asked = [
            (brand, [plus(brand.as_of, -back) for back in (0, 7, 31, 100)])
            for brand in (read(connection, brand_id) for (brand_id,) in brands)
        ]
        found = differences(connection, asked)
    assert not found, (len(found), found[:20])


IDENTITIES = {
    "an act is of a person who was active": "select * from marts.aarrr_daily where visitors < login_users and channel = 'all'",
    "funnels only narrow": """select * from marts.butterfly where customers > previous_customers
        union all by name select * from marts.campaign_loops where ordered > responded or responded > touched""",
    "combinations are shares of one whole": """select brand_id from marts.private_tools group by brand_id
        having abs(sum(customer_share) - 1) > 1e-9 or abs(coalesce(sum(amount_share), 1) - 1) > 1e-9
        or sum(customers) <> (select count(*) from marts.private_customers as c where c.brand_id = private_tools.brand_id)""",
    "cells of the crowd matrix add up to its margin": """select brand_id from marts.crowd_matrix group by brand_id
        having sum(case when life_stage <> 'all' and value_tier <> 'all' then customers else 0 end)
        <> sum(case when life_stage = 'all' and value_tier = 'all' then customers else 0 end)""",
    "what was there, less the lost, plus the new, is there": """select * from marts.relationship_churn
        where customers_at_end > customers_at_start + gained_customers
        or customers_at_end < customers_at_start - lost_customers""",
    "stock follows its changes": """select * from (select *, lag(reachable_customers, 1, 0) over (
        partition by brand_id, reach_channel order by as_of_date) as before from marts.private_reach_daily)
        where reachable_customers <> before + net_change""",
    "people are recounted, not added": """select a.brand_id from marts.aarrr_daily as a join (select brand_id, as_of_date,
        sum(dau) as added, max(dau) as most from marts.aarrr_daily where channel <> 'all' group by all) as c
        on a.brand_id = c.brand_id and a.as_of_date = c.as_of_date
        where a.channel = 'all' and a.dau not between c.most and c.added""",
    "money of the channels is the money of the brand": """select a.brand_id from marts.aarrr_daily as a join (
        select brand_id, as_of_date, sum(net_amount) as added from marts.aarrr_daily where channel <> 'all' group by all)
        as c on a.brand_id = c.brand_id and a.as_of_date = c.as_of_date where a.channel = 'all' and a.net_amount <> c.added""",
    "a month is made of its days": """select p.brand_id from marts.aarrr_periods as p join (
        select brand_id, channel, date_trunc('month', as_of_date) as m, sum(dau) as days, max(dau) as most, sum(new_customers) as won
        from marts.aarrr_daily group by all) as d on p.brand_id = d.brand_id and p.channel = d.channel and p.period_start = d.m
        where p.period_kind = 'month' and (p.active_user_days <> d.days or p.active_users < d.most or p.new_customers <> d.won)""",
    "who came from anywhere came": """select d.brand_id from (select brand_id, channel, sum(new_users) as n
        from marts.retention_entries group by all) as e join (select brand_id, channel, sum(new_users) as n
        from marts.retention_daily group by all) as d on e.brand_id = d.brand_id and e.channel = d.channel where e.n <> d.n""",
    "what is not seen is not zero": """select cohort_date from marts.retention_daily, reference.as_of
        where (retained_30d is null) <> (cohort_date + 30 > as_of_date)""",
}  # fmt: skip


@pytest.mark.parametrize("law", IDENTITIES)
def test_identities_hold_on_the_random_brands(brands, law):
    assert brands.rows(IDENTITIES[law]) == []


@pytest.mark.parametrize("law", IDENTITIES)
def test_identities_hold_on_the_demo_world(warehouse, law):
    assert ask(warehouse, IDENTITIES[law]) == []


def test_the_reach_of_today_is_that_of_the_customer_table(warehouse):
    """Spells of reach and the wide row of the customer take consent on their own ways and must say the same channels."""
    (same, reachable), = ask(
        warehouse,
        """select count(*) filter (where c.reachable_channels is not distinct from p.reachable_channels) = count(*),
            count(p.reachable_channels)
        from marts.customers as c join marts.private_customers as p using (brand_id, customer_id)""",
    )  # fmt: skip
    assert same and reachable


def test_lost_buyers_and_members_are_those_of_the_other_marts(warehouse):
    """The last month's end of relationship_churn against churn bands and superiority, which come another way."""
    assert ask(
        warehouse,
        """with last as (select * from marts.relationship_churn
            where churn_month = (select max(churn_month) from marts.relationship_churn))
        select brand_id from last where kind = 'purchase' and customers_at_end <> (select count(*) from marts.customers as c
            where c.brand_id = last.brand_id and c.purchase_activity <> 'churned')
        union all select brand_id from last where kind = 'member' and customers_at_end <> (select superiority
            from marts.fast_daily as f where f.brand_id = last.brand_id order by as_of_date desc limit 1)""",
    ) == []  # fmt: skip


def test_the_seed_of_roles_says_what_the_slow_reading_takes_every_kind_for():
    with duckdb.connect() as connection:
        seed, types = (
            "read_csv('seeds/growth_event_roles.csv')",
            "read_csv('seeds/event_types.csv')",
        )
        assert wrong_roles(connection, seed) == []
        kinds = f"(select event_type from {types}) except (select event_type from {seed})"
        assert connection.execute(kinds).fetchall() == []
