"""Audiences on the demo world: each against a query of its own on several days, and the identities of sizes, sets, hold-out,
profiles and caps. The language of the rules on made-up histories is test_audience_rules.py."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest
from scipy.stats import chi2, chi2_contingency
from support import ask

from orchestration.audiences import check_rules
from tests.oracle.audiences import AS_OF_QUERIES, QUERIES, attached, expected, published

AS_OF = date(2026, 6, 30)
DAYS = [AS_OF - timedelta(back) for back in (0, 1, 16, 45, 90)]


@pytest.fixture(scope="module")
def connection(warehouse):
    with attached(warehouse / "warehouse.duckdb") as connection:
        yield connection


def members(warehouse) -> dict[str, set[tuple[str, str]]]:
    found = defaultdict(set)
    for audience, brand, customer in ask(
        warehouse,
        "select audience, brand_id, customer_id from marts.audience_members where is_current",
    ):
        found[audience].add((brand, customer))
    return found


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_each_shipped_audience_equals_a_query_of_its_own(connection, day):
    theirs = expected(connection, day, is_as_of=day == AS_OF)
    ours = published(connection, day)
    different = {
        name: (len(ours.get(name, set()) - members), len(members - ours.get(name, set())))
        for name, members in theirs.items()
        if ours.get(name, set()) != members
    }
    assert not different
    assert sum(len(members) > 0 for members in theirs.values()) > 12


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_who_may_be_written_to_equals_a_query_of_its_own(connection, day):
    expected(connection, day, is_as_of=day == AS_OF)
    theirs = set(connection.execute("select * from reachable").fetchall())
    ours = connection.execute(
        """select brand_id, customer_key, channel from warehouse.lifecycle.fct_consent_spells
        where valid_from <= $day and (valid_to is null or valid_to > $day)""",
        {"day": day},
    ).fetchall()
    assert len(ours) == len(set(ours)) and set(ours) == theirs != set()


def test_every_shipped_audience_is_compared(warehouse):
    defined = {
        name for (name,) in ask(warehouse, "select audience from reference.audience_definitions")
    }
    assert defined == {*QUERIES, *AS_OF_QUERIES, "cart_unpaid", "cart_paid"}
    assert check_rules() == len(defined) + len(
        ask(warehouse, "select tag from reference.tag_definitions")
    )


def test_weekly_flows_agree_with_the_stage_marts(warehouse):
    """The audiences of the last week and stage_flows count the same customers along two roads."""
    flows = dict(
        ask(
            warehouse,
            """select direction, sum(customers) from marts.stage_flows
            where model = 'aipl' and to_date = (select as_of_date from reference.as_of)
                and to_date - from_date = 7 group by direction""",
        )
    )
    found = {name: len(people) for name, people in members(warehouse).items()}
    assert found.get("deepened_7d", 0) == flows["forward"] > 0
    assert found.get("lost_7d", 0) == flows["lost"] > 0


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("marts.audience_members", "audience, brand_id, customer_id"),
        ("marts.customer_tags", "tag, tag_value, brand_id, customer_id"),
    ],
)
def test_spells_neither_overlap_nor_touch(warehouse, table, key):
    assert not ask(
        warehouse,
        f"""select * from (
            select *, lag(valid_to, 1, date '0001-01-01') over spells as before, row_number() over spells as n
            from {table} window spells as (partition by {key} order by valid_from)
        ) where valid_to <= valid_from or n > 1 and (before is null or before >= valid_from)""",
    )


def test_a_single_valued_tag_has_one_value_at_a_time(warehouse):
    assert not ask(
        warehouse,
        """select * from marts.customer_tags a join marts.customer_tags b using (customer_id, brand_id, tag)
        join reference.tag_definitions d using (tag)
        where not d.is_multi_valued and a.tag_value < b.tag_value
            and a.valid_from < coalesce(b.valid_to, date '9999-12-31')
            and b.valid_from < coalesce(a.valid_to, date '9999-12-31')""",
    )


def test_tags_say_what_the_wide_row_says(warehouse):
    """Tags of today against marts.customers, which is built without them."""
    columns = {
        "rfm_code": "rfm_code",
        "lifecycle": "nullif(lifecycle_stage, 'none')",
        "member": "case when is_member then 'yes' end",
        "purchase_activity": "purchase_activity",
        "high_value": "case when is_high_value then 'yes' end",
        "order_count": "case when purchase_count >= 4 then '4+' when purchase_count >= 2 then '2-3'"
        " when purchase_count = 1 then '1' end",
    }
    for tag, column in columns.items():
        tags = ask(
            warehouse,
            f"select brand_id, customer_id, tag_value from marts.customer_tags where is_current and tag = '{tag}'",
        )
        wide = ask(
            warehouse,
            f"select brand_id, customer_id, {column} from marts.customers where {column} is not null",
        )
        assert sorted(tags) == sorted(wide) != [], tag


@pytest.mark.parametrize("day", [AS_OF, AS_OF - timedelta(40)], ids=str)
def test_bands_of_a_past_day_follow_from_the_purchases_up_to_it(warehouse, day):
    """METRICS 8.2 and 8.3 by hand, with the cycle of the as-of date: k = 3, bands at 1, 1.5 and 3 cycles."""
    cycles = dict(
        ask(
            warehouse,
            "select brand_id, cycle_days from lifecycle.int_value__cycles where observation = 'as_of' and kind = 'any'",
        )
    )
    bought = defaultdict(list)
    for brand, customer, purchased_on in ask(
        warehouse,
        """select g.brand_id, p.customer_id, g.purchased_on from lifecycle.int_value__gaps g
        join (select distinct customer_key, customer_id from identity.int_identity__customer_map) p using (customer_key)
        where g.observation = 'as_of' and g.kind = 'any' order by g.purchased_on""",
    ):
        if purchased_on <= day:
            bought[brand, customer].append(purchased_on)
    expected_bands = {}
    for (brand, customer), days in bought.items():
        cycle = ((days[-1] - days[0]).days + 3 * cycles[brand]) / (len(days) - 1 + 3)
        ratio = (day - days[-1]).days / max(cycle, 1)
        bands = ((3, "churned"), (1.5, "warning"), (1, "due"), (0, "active"))
        expected_bands[brand, customer] = next(band for least, band in bands if ratio >= least)
    found = ask(
        warehouse,
        f"""select brand_id, customer_id, tag_value from marts.customer_tags where tag = 'purchase_activity'
        and valid_from <= date '{day}' and (valid_to is null or valid_to > date '{day}')""",
    )
    assert {(brand, customer): band for brand, customer, band in found} == expected_bands != {}


def test_sizes_overlaps_and_channels_are_those_of_the_members(warehouse):
    people = members(warehouse)
    sizes = Counter((name, brand) for name, found in people.items() for brand, _ in found)
    told = {
        (name, brand): n
        for name, brand, n in ask(
            warehouse, "select audience, brand_id, customers from marts.audiences"
        )
    }
    assert {key: n for key, n in told.items() if n} == dict(sizes)
    pairs = Counter(
        (a, b, brand)
        for a, found in people.items()
        for b, others in people.items()
        if a != b
        for brand, _ in found & others
    )
    assert {
        (a, b, brand): n
        for a, b, brand, n in ask(
            warehouse,
            "select audience, other_audience, brand_id, both_customers from marts.audience_overlaps",
        )
    } == dict(pairs)
    reach = Counter(
        (name, brand, channel)
        for brand, customer, channels in ask(
            warehouse, "select brand_id, customer_id, reachable_channels from marts.customers"
        )
        if channels
        for name, found in people.items()
        if (brand, customer) in found
        for channel in [*channels.split(","), "any"]
    )
    assert {
        (name, brand, channel): n
        for name, brand, channel, n in ask(
            warehouse,
            "select audience, brand_id, channel, reachable_customers from marts.audience_channels",
        )
    } == dict(reach)
    assert not ask(
        warehouse,
        """select * from marts.audience_channels
        where hold_out_customers + capped_customers + contactable_customers <> reachable_customers""",
    )


def test_change_is_what_came_less_what_went(connection, warehouse):
    then = published(connection, AS_OF - timedelta(7))
    now = published(connection, AS_OF)
    for name, brand, size, before, entered, left in ask(
        warehouse,
        "select audience, brand_id, customers, customers_7d_ago, entered_7d, left_7d from marts.audiences",
    ):
        was = {m for m in then.get(name, set()) if m[0] == brand}
        is_in = {m for m in now.get(name, set()) if m[0] == brand}
        assert (size, before, entered, left) == (
            len(is_in),
            len(was),
            len(is_in - was),
            len(was - is_in),
        ), name


def test_the_hold_out_is_a_fair_draw_that_no_day_changes(warehouse):
    rows = ask(
        warehouse,
        "select audience, customer_id, count(distinct is_hold_out), bool_or(is_hold_out) from marts.audience_members group by 1, 2",
    )
    assert all(values == 1 for _, _, values, _ in rows)
    # The formula by hand: neither the day nor the order of runs is in it.
    for audience, customer, _, is_out in rows:
        digest = hashlib.md5(f"1|{audience}|{customer}".encode()).digest()
        assert is_out == ((int.from_bytes(digest[:8], "little") >> 1) % 10000 < 1000)
    drawn = [is_out for *_, is_out in rows]
    assert len(drawn) > 2000
    # Three standard errors around the tenth of the seed.
    assert abs(sum(drawn) / len(drawn) - 0.1) < 3 * (0.09 / len(drawn)) ** 0.5
    by_customer = defaultdict(set)
    for _, customer, _, is_out in rows:
        by_customer[customer].add(is_out)
    assert any(len(outs) == 2 for outs in by_customer.values()), (
        "draws of two audiences must differ"
    )


def test_lift_and_significance_agree_with_scipy(warehouse):
    rows = ask(
        warehouse,
        """select customers, audience_customers, tag_customers, base_customers, tgi, chi_square, p_value, is_significant
        from marts.audience_profiles order by hash(concat(audience, tag, tag_value, brand_id)) limit 150""",
    )
    assert len(rows) == 150
    for a, n, k, total, tgi, chi_square, p_value, is_significant in rows:
        assert tgi == pytest.approx(100 * (a / n) / (k / total))
        if n == total or k == total:
            assert chi_square is None and p_value is None
            continue
        theirs = chi2_contingency([[a, n - a], [k - a, total - n - k + a]], correction=False)
        assert chi_square == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
        assert p_value == pytest.approx(chi2.sf(theirs.statistic, 1), abs=2e-7)
        assert is_significant == (theirs.pvalue < 0.01 and theirs.expected_freq.min() >= 5)


def test_the_shared_profile_counts_nobody_below_k(warehouse):
    """No count and no difference of counts from 1 to k-1, and no hidden value that stands alone."""
    rows = ask(
        warehouse,
        """select s.brand_id, s.audience, s.tag, s.is_suppressed, p.customers, s.customers, s.audience_customers,
            s.tag_customers, s.share, s.tgi, p.audience_customers, p.tag_customers
        from marts.audience_profiles_shared s
        join marts.audience_profiles p using (brand_id, audience, tag, tag_value)""",
    )
    k, hidden = 10, defaultdict(list)
    for brand, audience, tag, is_suppressed, true, a, n, t, share, tgi, true_n, true_t in rows:
        hidden[brand, audience, tag].append(is_suppressed)
        is_small = true < k or true_n < k or 0 < true_n - true < k or 0 < true_t - true < k
        assert is_suppressed or not is_small
        if is_suppressed:
            assert a is t is share is tgi is None
        else:
            assert (a, n, t) == (true, true_n, true_t)
        assert n is None or n >= k
    assert all(sum(flags) != 1 or len(flags) == 1 for flags in hidden.values())
    assert any(any(flags) for flags in hidden.values()) and not all(all(f) for f in hidden.values())
    assert ask(warehouse, "select count(*) from marts.audience_profiles where is_suppressed") == [
        (0,)
    ]


def test_the_caps_allow_a_message_as_early_as_they_may_and_no_earlier(warehouse):
    """Day by day from the last message on: the first on which one more keeps every cap is next_allowed_on."""
    caps = ask(warehouse, "select channel, max_messages, window_days from reference.frequency_caps")
    sent = defaultdict(list)
    for brand, customer, channel, day in ask(
        warehouse,
        """select c.brand_id, m.customer_id, s.channel, s.sent_on
        from staging.stg_landing__messages s join staging.stg_landing__campaigns c using (campaign_id)
        join identity.int_identity__customer_map m on m.identifier_key = s.identifier_key
        where s.failed_reason is null and not coalesce(s.is_control, false)""",
    ):
        sent[brand, customer].append((channel, day))

    def is_allowed(history, channel, day):
        return all(
            sum(1 for c, d in history if cap in ("*", c) and day - window < d <= day) < most
            for cap, most, window in ((c, m, timedelta(w)) for c, m, w in caps)
            if cap in ("*", channel)
        )

    rows = ask(
        warehouse,
        "select brand_id, customer_id, channel, next_allowed_on, is_capped, messages_30d from marts.contact_pressure",
    )
    tried = 0
    for brand, customer, channel, next_allowed_on, is_capped, messages_30d in rows:
        history = sent[brand, customer]
        tomorrow = AS_OF + timedelta(1)
        assert is_capped == (not is_allowed(history, channel, tomorrow))
        # After the last message history stands still, so the first free day can be found by trying.
        last = max((d for _, d in history), default=None)
        if last and next_allowed_on and next_allowed_on > last:
            free = (last + timedelta(n) for n in range(1, 40))
            assert next_allowed_on == next(d for d in free if is_allowed(history, channel, d))
            tried += 1
        assert messages_30d == sum(
            1 for c, d in history if channel in ("*", c) and AS_OF - timedelta(30) < d <= AS_OF
        )
    assert tried > 50
