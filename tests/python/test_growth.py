"""AARRR, FAST+ and the private domain against loops written from METRICS.md alone (tests/oracle/growth.py): on the demo
world, and on a hundred small random brands whose facts crowd the ends of windows."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta

import duckdb
import pyarrow as pa
import pytest
from compiled import Warehouse, compiled
from support import ask

from tests.oracle.growth import SILENT, differences, plus, read

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
    "live_watch", "review", "ad_impression", "points_earn", "share", "follow", "unfollow",
]  # fmt: skip


def at(chance: random.Random) -> date:
    """A day near an edge of some window."""
    return AS_OF - timedelta(days=max(0, chance.choice(BACKS) + chance.choice([-1, 0, 0, 1])))


def span(chance: random.Random) -> tuple[date, date | None]:
    a, b = sorted((at(chance), at(chance)))
    return (a, None if a == b or chance.random() < 0.4 else b)


def history(chance: random.Random, brand: str, first_key: int, rows: dict[str, list]) -> None:
    """Rows of one brand with seven customers, the last one an anonymous visitor."""
    people = [first_key + n for n in range(7)]
    for n, key in enumerate(people):
        rows["owners"] += [
            (key * 10 + i, key, f"C{key}", n == 6, None, None) for i in range(1 + n % 2)
        ]
        rows["dim"].append((key, f"C{key}", n == 6, n, None if n % 2 else "x"))
    # A tablet goes from one of them to another.
    tablet, handed_over = first_key * 10 + 9, datetime.combine(at(chance), time())
    for key, since, until in ((people[0], None, handed_over), (people[1], handed_over, None)):
        rows["owners"].append((tablet, key, f"C{key}", False, since, until))
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
        rows["orders"].append(
            (f"{brand}o{n}", brand, key, day, channel, domain, campaign, staff, amount)
        )
        for category in chance.sample(["tea", "oil", "rice"], chance.randint(0, 2)):
            rows["lines"].append((f"{brand}o{n}", brand, key, day, category))
        if key is not None and chance.random() < 0.15:
            rows["refunds"].append(
                (brand, key, min(AS_OF, plus(day, chance.choice([0, 1, 30, 31]))), 1)
            )
    for key in people[:6]:
        for kind, names in (
            ("follower", ["official_account", "tmall"]),
            ("wecom_contact", ["s1", "s2", "s3"]),
            ("group_member", ["g1", "g2"]),
        ):
            for name in names:
                if chance.random() < 0.4:
                    rows["relationships"].append((brand, key, kind, name, *span(chance)))
        cards = [span(chance)] if chance.random() < 0.5 else []
        if cards and cards[0][1] and chance.random() < 0.3:
            cards.append((cards[0][1], None))
        for n, (a, b) in enumerate(cards):
            rows["memberships"].append(
                (brand, key, key * 100 + n, a, b, chance.choice(["store", "tmall", None]))
            )
            rows["relationships"].append((brand, key, "member", str(key * 100 + n), a, b))
            rows["stages"].append(("fast_members_30d", brand, key, "active", 2, a, b))
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


TABLES = {
    "owners": ("identity.int_identity__resolution", "identifier_key bigint, customer_key bigint, customer_id text, is_anonymous_visitor boolean, valid_from timestamp, valid_to timestamp"),
    "dim": ("identity.dim_customers", "customer_key bigint, customer_id text, is_anonymous_visitor boolean, personal_id_count int, gender text"),
    "campaigns": ("staging.stg_landing__campaigns", "campaign_id text, brand_id text, campaign_name text, scenario text, channel text, starts_on date, ends_on date, budget_amount decimal(18, 4)"),
    "costs": ("staging.stg_landing__campaign_costs", "campaign_id text, spent_on date, channel text, impressions bigint, clicks bigint, cost_amount decimal(18, 4)"),
    "touchpoints": ("lifecycle.touches", "brand_id text, customer_key bigint, occurred_on date, event_type text, channel text, staff_id text, campaign_id text"),
    "orders": ("lifecycle.bought", "order_id text, brand_id text, customer_key bigint, purchased_on date, channel text, channel_domain text, campaign_id text, staff_id text, net_amount decimal(18, 4)"),
    "lines": ("lifecycle.fct_order_lines", "order_id text, brand_id text, customer_key bigint, purchased_on date, category text"),
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
    " ('lifecycle', 'single', 3), ('lifecycle', 'repeat', 4), ('lifecycle', 'loyal', 5)) as t (model, stage, rank)",
    "lifecycle.fct_touchpoints": "select *, 's' as source_system, row_number() over () as event_id, content_id: null::text,"
    " cast(occurred_on as timestamp) as occurred_at from lifecycle.touches",
    "staging.stg_landing__touchpoints": "select * from lifecycle.fct_touchpoints",
    "lifecycle.fct_orders": "select *, 's' as source_system, true as is_valid_purchase, purchased_on as valid_from,"
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
    for n in range(count):
        history(random.Random(n), f"b{n:02}", 1 + 10 * n, rows)
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
        "alter table lifecycle.fct_order_lines add is_valid_purchase boolean default true"
    )
    warehouse.connection.execute(
        "alter table lifecycle.fct_order_lines add source_system text default 's'"
    )
    for column in ("birth_date", "phone", "email", "province", "city", "address"):
        warehouse.connection.execute(f"alter table identity.dim_customers add {column} text")
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


def test_the_seed_of_roles_is_what_the_slow_reading_takes_for_silence():
    rows = duckdb.sql(
        "select event_type from 'seeds/growth_event_roles.csv' where not is_active"
    ).fetchall()
    assert {kind for (kind,) in rows} == SILENT
