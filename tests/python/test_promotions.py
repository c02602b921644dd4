"""What the demo world plants into 38, 618 and Double 11, as the marts show it.

The generator draws the day of each order from the days of the person's own life, weighted by weekday, season and the
promotion's factor. So, given who bought how often (truth), the share of the orders that falls on a promotion is known with
its standard error, with the factor planted and without it. Prices, campaigns and sessions are planted, too.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from functools import cached_property
from math import sqrt
from pathlib import Path

import duckdb
import pytest
from support import ask, land

from demo.seasons import Promotion, World
from demo.world import build
from tests.oracle.warehouse import Warehouse

# Of the price list in a promotion (demo/shopping.py: 28% off; another 7% with a coupon, which one order in five has), and
# the share of the orders outside tills that name the promotion's campaign.
PLANTED_DISCOUNT = 1 - 0.72 * (1 - 0.2 * 0.07)
PLANTED_CAMPAIGN = 0.6


class Plain(World):
    """The same world with promotions that lift nothing."""

    @cached_property
    def promotions(self) -> list[Promotion]:
        return [p._replace(order_factor=1) for p in super().promotions]


def world_of(folder: Path) -> World:
    made = json.loads((folder / "world.json").read_text())
    return World(made["people"], made["seed"], date.fromisoformat(made["until"]), made["days"])


def promotions(world: World) -> list[Promotion]:
    """Those that lie in the world with four weeks before them."""
    first = world.start + timedelta(28)
    return [p for p in world.promotions if first <= p.starts_on and p.ends_on <= world.until]


def share_expected(folder: Path, world: World, promotion: Promotion) -> tuple[float, float]:
    """Share of the orders that falls on the promotion, and its standard error."""
    lives = duckdb.sql(
        f"""select p.first_day, p.last_day, count(*) from read_parquet('{folder}/truth/orders*') o
        left join read_parquet('{folder}/truth/people*') p using (person_id) group by all"""
    ).fetchall()
    weights = world.order_weights
    total, mean, variance = 0, 0.0, 0.0
    for first, last, orders in lives:
        # An order at a till that names nobody may fall on any day.
        begin, end = (first or world.start), (last or world.until)
        low, high = ((d - world.start).days for d in (begin, end))
        inside = [
            (max(begin, promotion.starts_on) - world.start).days,
            (min(end, promotion.ends_on) - world.start).days,
        ]
        share = 0.0
        if inside[0] <= inside[1]:
            share = (weights[inside[1] + 1] - weights[inside[0]]) / (
                weights[high + 1] - weights[low]
            )
        total += orders
        mean += orders * share
        variance += orders * share * (1 - share)
    return mean / total, sqrt(variance) / total


def check(folder: Path, workspace: Path, promotion: Promotion) -> bool:
    """Orders, campaigns, prices and sessions of a promotion against what was planted; whether so many orders tell the
    planted factor from none."""
    world = world_of(folder)
    days = f"between date '{promotion.starts_on}' and date '{promotion.ends_on}'"
    # Orders: the share of the days of aarrr_daily.
    inside, orders = ask(
        workspace,
        f"select sum(orders) filter (where as_of_date {days}), sum(orders) from marts.aarrr_daily where channel = 'all'",
    )[0]
    planted, error = share_expected(folder, world, promotion)
    without, error_without = share_expected(
        folder, Plain(world.people, world.seed, world.until, world.days), promotion
    )
    assert abs(inside / orders - planted) < 4 * error, (promotion, inside / orders, planted, error)
    is_told = inside / orders > without + 4 * error_without
    # Campaigns: 0.6 of the orders outside tills name the promotion's, within four standard errors.
    ((named, discount, paid),) = ask(
        workspace,
        f"""select sum(order_count), sum(discount_amount), sum(gmv_amount) from marts.campaign_performance
        where scenario = 'promotion' and starts_on = date '{promotion.starts_on}'""",
    )
    ((able,),) = ask(
        workspace,
        f"""select sum(orders) from marts.aarrr_daily where as_of_date {days} and channel <> 'all'
        and channel not like 'store%'""",
    )
    assert abs(named / able - PLANTED_CAMPAIGN) < 4 * sqrt(0.24 / able), (promotion, named, able)
    # Prices: what the list prices were cut by; coupons and rounding move it by a percent or two.
    assert float(discount / (paid + discount)) == pytest.approx(PLANTED_DISCOUNT, abs=0.03)
    # Sessions: page views a day against ten days on both sides, so that growth cancels out; weekdays do not, quite.
    length = (promotion.ends_on - promotion.starts_on).days + 1
    ((lift,),) = ask(
        workspace,
        f"""select sum(page_views) filter (where as_of_date between s and e) / {length}
            / (sum(page_views) filter (where as_of_date not between s and e) / 20)
        from marts.aarrr_daily, (select date '{promotion.starts_on}' as s, date '{promotion.ends_on}' as e)
        where channel = 'all' and as_of_date between s - 10 and e + 10""",
    )
    assert lift == pytest.approx(promotion.touchpoint_factor, rel=0.2), promotion
    return is_told


@pytest.fixture(scope="module")
def november(tmp_path_factory) -> tuple[Path, Path]:
    """A world whose Double 11 has four weeks before it and ten days after it, with the marts that show it."""
    root = tmp_path_factory.mktemp("november")
    build(root / "world", people=800, days=75, until=date(2025, 11, 30), progress=lambda line: None)
    warehouse = Warehouse(root / "workspace")
    warehouse.admit(root / "world" / "landing")
    warehouse.seed()
    warehouse.run(select=["+aarrr_daily", "+star_goal_flows", "+campaign_performance"])
    return root / "world", root / "workspace"


def test_double_11_shows_what_was_planted(november):
    folder, workspace = november
    (promotion,) = promotions(world_of(folder))
    assert (promotion.name, promotion.order_factor) == ("double_11", 3.8)
    assert check(folder, workspace, promotion)


def test_double_11_turns_people_into_buyers(november):
    """Moves to R4 and R5 in the week within it against the four weeks before the calendar's: lifted with the orders."""
    _, workspace = november
    inside, before = ask(
        workspace,
        """select sum(customers) filter (where period_id = '2025-11-03'),
            sum(customers) filter (where period_id between '2025-09-22' and '2025-10-13') / 4
        from marts.star_goal_flows where period_kind = 'week' and goal = 'conversion'""",
    )[0]
    assert 3.8 / 2 < inside / before < 3.8 * 2, (inside, before)


def test_618_shows_what_was_planted(world, warehouse):
    (promotion,) = [p for p in promotions(world_of(world)) if p.name == "618"]
    assert promotion.order_factor == 2.6
    assert check(world, warehouse, promotion)


@pytest.mark.soak
def test_every_promotion_of_the_two_years_shows_what_was_planted(tmp_path):
    build(tmp_path / "world", people=4000, days=730, until=date(2026, 6, 30), progress=print)
    land(tmp_path / "world" / "landing", tmp_path / "workspace")
    told = {
        (p.name, p.starts_on.year): check(tmp_path / "world", tmp_path / "workspace", p)
        for p in promotions(world_of(tmp_path / "world"))
    }
    # 38 lasts eight days and lifts by 1.8: too little for so few orders.
    assert {key for key, is_told in told.items() if is_told} >= {
        ("double_11", 2024), ("618", 2025), ("double_11", 2025), ("618", 2026),
    }  # fmt: skip
    assert {name for name, _ in told} == {"double_11", "38", "618"}
