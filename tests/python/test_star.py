"""STAR, its scenarios, campaigns, attribution and products against a slow second reading; what was planted in the demo world's promotions."""

from __future__ import annotations

import duckdb
import pytest
from compiled import compiled, dbt
from star_world import hundred_brands

from tests.oracle import campaigns, scenarios, star

MODELS = [
    "fct_membership_spells", "fct_referrals", "fct_consent_spells", "customer_day", "int_star__periods", "int_star__touch_keys", "int_star__asset_stays", "int_campaigns__messages", "int_star__touches",
    "int_star__customer_periods", "star_flows", "star_goal_flows", "star_scaling", "star_assets", "star_structure",
    "star_triangulating", "star_activating", "star_returning", "int_campaigns__shares", "int_campaigns__credits", "attribution",
    "product_performance", "int_campaigns__reached", "campaign_performance", "campaign_segments", "star_member_tiers",
    "int_star__promotions", "int_value__observations", "int_value__purchase_days", "int_value__acquisitions",
    "int_value__money_days", "repurchase_cohorts", "unit_economics", "fast_periods", "int_star__scenario_figures",
    "star_scenarios",
]  # fmt: skip
STAGE_SEEDS = ["stage_rules", "stages", "stage_models", "stage_behaviours", "event_types"]
AGAIN_DAYS = 21
CREDIT = ["brand_id", "month", "conversion", "attribution_model", "channel", "touch_point", "campaign_id"]  # fmt: skip


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    """A hundred random brands with the marts built on them."""
    workspace = tmp_path_factory.mktemp("star")
    # The bits of customer_day are those of the seeds in the database.
    dbt(workspace, "seed", "--select", *STAGE_SEEDS)
    # No month of the made-up days is seen for the 90 days that a product is looked at.
    models = compiled(workspace, MODELS, f"{{product_repurchase_days: {AGAIN_DAYS}}}")
    warehouse = hundred_brands()
    for name, sql in models.items():
        layer = "lifecycle" if name.startswith(("int_", "fct_", "customer_day")) else "marts"
        warehouse.table(f"{layer}.{name}", sql)
    return warehouse


# Rates whose numerator is among what its denominator counts, also where that is nothing.
PART_OF_A_WHOLE = """
    select * from marts.star_scenarios where numerator > denominator and measure in (
        'reachable_share', 'top_tier_share', 'upgrade_rate', 'downgrade_rate', 'join_rate', 'group_active_rate', 'new_share',
        'cart_to_pay_rate', 'view_to_pay_rate', 'view_to_cart_rate', 'attach_rate', 'new_buyer_share', 'retained_rate_30d',
        'retained_rate_60d', 'important_buyer_share', 'new_to_buying_share', 'referred_buyer_share', 'member_gmv_share',
        'interaction_rate_7d', 'interaction_rate_30d', 'sink_rate_7d', 'first_order_rate_30d'
    )
"""


def disagreements(ask, again_days: int = 90) -> list[str]:
    facts = star.read_facts(ask)
    found = star.answers(facts)
    assert all(found[table] for table in star.KEYS)
    wrong = [
        x
        for table, keys in star.KEYS.items()
        for x in star.differences(table, keys, found[table], ask)
    ]
    wrong += star.differences("attribution", CREDIT, star.attribution(facts), ask)
    found = campaigns.answers(ask) | scenarios.answers(facts, ask, again_days, found)
    assert all(found[table] for table in campaigns.KEYS | scenarios.KEYS)
    wrong += [
        x
        for table, keys in (campaigns.KEYS | scenarios.KEYS).items()
        for x in star.differences(table, keys, found[table], ask)
    ]
    return wrong + star.differences(
        "product_performance",
        ["brand_id", "month", "product_id"],
        star.products(facts, again_days),
        ask,
    )


def test_a_hundred_random_brands_agree_with_the_slow_reading(hundred):
    (brands,) = hundred.rows("select count(distinct brand_id) from marts.star_returning")[0]
    wrong = disagreements(hundred.rows, AGAIN_DAYS)
    assert brands == 102  # a hundred, one that nobody knows yet, and one that only sent a message
    assert wrong == [], (len(wrong), wrong[:20])
    assert hundred.rows(PART_OF_A_WHOLE) == []


@pytest.fixture(scope="module")
def demo(warehouse):
    """Queries on the warehouse of the small demo world."""
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        yield lambda sql: connection.execute(sql).fetchall()


def test_the_demo_world_agrees_with_the_slow_reading(demo):
    assert disagreements(demo) == []
    assert demo(PART_OF_A_WHOLE) == []


def test_the_reachable_are_those_of_the_private_domain(demo):
    """Stays of STAR and the daily sums of the private domain count the same people on the last day of every period."""
    wrong, compared = demo("""
        select count(*) filter (where a.customers is distinct from coalesce(d.reachable_customers, 0)), sum(a.customers)
        from marts.star_assets as a
        left join marts.private_reach_daily as d
            on a.brand_id = d.brand_id and a.last_on = d.as_of_date and d.reach_channel = 'any'
        where a.asset = 'reachable'
    """)[0]
    assert wrong == 0 and compared > 0


def test_618_lifts_orders_as_planted(demo, world):
    """Planted: 2.6 times the orders on the last 20 of the calendar's 21 days. The small world holds some 100 of them and
    grows while it lasts, so that half and twice the factor are the bounds; the figure shown must lie in them, too."""
    truth = f"select order_factor from read_parquet('{world}/truth/promotions*') where name = '618'"
    factor = duckdb.sql(truth).fetchone()[0]
    promotion, before = demo("""
        select
            count(*) filter (where valid_from between date '2026-06-01' and date '2026-06-20') / 20,
            count(*) filter (where valid_from between date '2026-05-03' and date '2026-05-30') / 28
        from lifecycle.fct_orders where valid_from is not null
    """)[0]
    (shown,) = demo("""
        select sum(numerator) / sum(denominator) from marts.star_scenarios
        where period_id = '618_2026' and measure = 'daily_gmv_uplift'
    """)[0]
    assert factor == 2.6
    assert factor / 2 < promotion / before < factor * 2
    assert factor / 2 < shown < factor * 2


def test_every_scenario_has_its_four_letters_and_every_measure_of_the_seed_its_figure(demo):
    letters = demo("select scenario, count(distinct letter) from marts.star_scenarios group by 1")
    assert sorted(letters) == [
        (s, 4) for s in ("acquisition", "growth", "membership", "product", "promotion")
    ]
    nameless = demo("""
        select scenario, measure from reference.star_scenario_measures
        except select scenario, measure from lifecycle.int_star__scenario_figures
    """)
    assert nameless == []
    product = demo("""
        select brand_id, max(case measure when 'gmv' then value end),
            max(case measure when 'people' then value end) * max(case measure when 'buyers_per_person' then value end)
            * max(case measure when 'orders_per_buyer' then value end) * max(case measure when 'amount_per_order' then value end)
        from marts.star_scenarios where scenario = 'growth' and period_id = '2026-05' group by 1
    """)
    assert product and all(abs(gmv - factors) < 1e-6 * gmv for _, gmv, factors in product)
