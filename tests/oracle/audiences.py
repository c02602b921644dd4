"""Every shipped audience on a day, by a query or a loop of its own that knows nothing of spells, sweeps or rules."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta

import duckdb

Members = dict[str, set[tuple[str, int]]]

# {d} is the day. `happened` are touch-points up to it, `live` the relationships on it, `bought` the valid purchases on it,
# `reachable` the channels that may be written to on it.
_VIEWS = """
create or replace temp view people as
    select distinct customer_key, customer_id from warehouse.identity.int_identity__customer_map where not is_anonymous_visitor;
create or replace temp view happened as
    select *, {d} - occurred_on as days_ago from warehouse.lifecycle.fct_touchpoints where occurred_on <= {d};
create or replace temp view live as
    select * from warehouse.lifecycle.fct_relationship_spells
    where valid_from <= {d} and (valid_to is null or valid_to > {d});
create or replace temp view bought as
    select *, {d} - valid_from as days_ago from warehouse.lifecycle.fct_orders
    where customer_key is not null and valid_from <= {d} and (valid_to is null or valid_to > {d});
create or replace temp view stage_now as
    select * from warehouse.lifecycle.int_stages__spells
    where valid_from <= {d} and (valid_to is null or valid_to > {d});
create or replace temp view stage_before as
    select * from warehouse.lifecycle.int_stages__spells
    where valid_from <= {d} - 7 and (valid_to is null or valid_to > {d} - 7);
create or replace temp view rfm_now as
    select r.*, p.customer_key from warehouse.marts.rfm_customers r join people p using (customer_id)
    where r.scope = 'all' and r.as_of_date = (
        select max(observation_date) from warehouse.lifecycle.int_rfm__observation_dates where observation_date <= {d}
    );
create or replace temp view told as
    select coalesce(c.brand_id, 'default') as brand_id, m.customer_key, s.channel, s.delivered_at::date as delivered,
        s.unsubscribed_at::date as goodbye
    from warehouse.staging.stg_landing__messages s
    left join warehouse.staging.stg_landing__campaigns c using (campaign_id)
    join warehouse.identity.int_identity__resolution m on m.identifier_key = s.identifier_key
        and coalesce(s.sent_at >= m.valid_from, true) and coalesce(s.sent_at < m.valid_to, true);
create or replace temp view cards as select * from warehouse.lifecycle.fct_membership_spells;
create or replace temp view reachable as
    select brand_id, customer_key, channel from (
        select *, case relationship when 'wecom_contact' then 'wecom' when 'group_member' then 'community_group'
            else relationship_key end as channel
        from live where relationship <> 'member'
    ) as contacts
    where channel <> '' and not exists (
        select * from told
        where told.brand_id = contacts.brand_id and told.customer_key = contacts.customer_key
            and told.channel = contacts.channel and told.goodbye between contacts.valid_from and {d}
    )
    union
    select brand_id, customer_key, channel
    from told
    where channel in ('sms', 'email', 'app') and not exists (
        select count(*) from cards where cards.brand_id = told.brand_id and cards.customer_key = told.customer_key
        having bool_or(valid_to <= {d}) and not bool_or(valid_from <= {d} and coalesce(valid_to > {d}, true))
    )
    group by brand_id, customer_key, channel
    having min(delivered) <= {d} and coalesce(min(goodbye) > {d}, true);
"""

_SELECT = "select brand_id, customer_key from "
_OWN = "channel in ('official_account', 'miniprogram')"
_MEMBER = _SELECT + "live where relationship = 'member'"
_FOLLOWER = _SELECT + "live where relationship = 'follower'"
_STAGES = """select coalesce(n.brand_id, b.brand_id) as brand_id, coalesce(n.customer_key, b.customer_key) as customer_key
    from (select * from stage_now where model = 'aipl') n
    full join (select * from stage_before where model = 'aipl') b using (brand_id, customer_key) where """

QUERIES = {
    "new_oa_followers": _SELECT
    + "happened where event_type = 'follow' and channel = 'official_account' and days_ago < 7 intersect "
    + _FOLLOWER
    + " and relationship_key = 'official_account'",
    "oa_interacted_48h": _SELECT
    + """happened where channel = 'official_account' and event_type in ('message_in', 'interact', 'follow', 'comment')
        and occurred_at >= {d}::timestamp + interval 24 hour - interval 48 hour""",
    "messageable_48h": _SELECT
    + f"happened where event_type = 'message_in' and {_OWN} and days_ago < 2 union "
    + _SELECT
    + f"bought where {_OWN} and days_ago < 2",
    "bought_30d": _SELECT + "bought where days_ago < 30",
    "follower_not_member": _FOLLOWER + " except " + _MEMBER,
    "member_not_buyer": _MEMBER + " except " + _SELECT + "bought",
    "first_order_8_30d": _SELECT
    + "bought group by brand_id, customer_key having max(days_ago) between 8 and 30",
    "coupon_expiring_3d": _SELECT
    + "happened where event_type = 'coupon_claim' and days_ago in (12, 13, 14) except "
    + _SELECT
    + "happened where event_type = 'coupon_use' and days_ago < 15",
    "live_viewer_not_buyer": _SELECT
    + "happened where event_type = 'live_watch' and days_ago < 7 except "
    + _SELECT
    + "bought where days_ago < 7",
    "wecom_silent_30d": _SELECT
    + "live where relationship = 'wecom_contact' except "
    + _SELECT
    + "happened where days_ago < 30",
    "unfollowed_member": _MEMBER
    + " intersect "
    + _SELECT
    + "happened where event_type = 'unfollow' except "
    + _FOLLOWER,
    "deepened_7d": _STAGES + "n.stage_rank > b.stage_rank",
    "lost_7d": _STAGES + "n.stage_rank is null",
    "important_at_risk": "("
    + _SELECT
    + "rfm_now where rfm_code in ('011', '001') except "
    + _SELECT
    + "bought where days_ago < 30) intersect "
    + _SELECT
    + "reachable",
}
CODES = {
    "important_value": "111",
    "important_retention": "011",
    "important_development": "101",
    "important_win_back": "001",
    "general_value": "110",
    "general_development": "100",
    "general_retention": "010",
    "general_win_back": "000",
}
QUERIES |= {
    f"rfm_{name}": _SELECT + f"rfm_now where rfm_code = '{code}'" for name, code in CODES.items()
}
QUERIES |= {
    f"lifecycle_{stage}": _SELECT + f"stage_now where model = 'lifecycle' and stage = '{stage}'"
    for stage in ("suspect", "prospect", "single", "repeat", "loyal")
}
# By the cycles of the as-of date, and so compared with the value marts, on that date.
AS_OF_QUERIES = {
    "churn_warning": "select w.brand_id, p.customer_key from warehouse.marts.churn_warnings w join people p using (customer_id)"
    " where w.band = 'warning'",
    "due_for_repurchase": "select distinct r.brand_id, p.customer_key from warehouse.marts.repurchase_reminders r"
    " join people p using (customer_id)",
}


def attached(database) -> duckdb.DuckDBPyConnection:
    """A connection on which the warehouse is attached as `warehouse`."""
    connection = duckdb.connect()
    connection.execute(f"attach '{database}' as warehouse (read_only)")
    return connection


def expected(connection: duckdb.DuckDBPyConnection, day: date, *, is_as_of: bool) -> Members:
    """Members by audience on a day: (brand, customer key)."""
    literal = f"date '{day}'"
    connection.execute(_VIEWS.replace("{d}", literal))
    people = {key for (key,) in connection.execute("select customer_key from people").fetchall()}
    queries = QUERIES | (AS_OF_QUERIES if is_as_of else {})
    found = {
        name: set(connection.execute(query.replace("{d}", literal)).fetchall())
        for name, query in queries.items()
    }
    found |= _carts(connection, day)
    return {name: {m for m in members if m[1] in people} for name, members in found.items()}


def _carts(connection: duckdb.DuckDBPyConnection, day: date) -> Members:
    """Item by item: still in the cart, or paid after it was put there, both with the cart_add in 7 days."""
    history = defaultdict(list)
    for *item, at, what in connection.execute(
        """select brand_id, customer_key, product_id, occurred_at, event_type from happened
        where event_type in ('cart_add', 'cart_remove')
        union all
        select o.brand_id, o.customer_key, l.product_id, coalesce(o.paid_at, o.ordered_at),
            case when o.valid_to is null or o.valid_to > {d} then 'paid' else 'returned' end
        from warehouse.lifecycle.fct_orders o join warehouse.lifecycle.fct_order_lines l using (source_system, order_id)
        where o.valid_from <= {d}""".replace("{d}", f"date '{day}'")
    ).fetchall():
        history[tuple(item)].append((at, what))
    found: Members = {"cart_unpaid": set(), "cart_paid": set()}
    for (brand, customer, _), events in history.items():
        in_cart = added = None
        for at, what in sorted(events):
            if what == "cart_add":
                in_cart = added = at
                continue
            in_cart = None
            if what == "paid" and added and added.date() > day - timedelta(7):
                found["cart_paid"].add((brand, customer))
        if in_cart and in_cart.date() > day - timedelta(7):
            found["cart_unpaid"].add((brand, customer))
    return found


def published(connection: duckdb.DuckDBPyConnection, day: date) -> Members:
    """Members by audience on a day, as audience_members has them."""
    found: Members = defaultdict(set)
    for audience, brand, customer in connection.execute(
        """select m.audience, m.brand_id, p.customer_key
        from warehouse.marts.audience_members m
        join (select distinct customer_key, customer_id from warehouse.identity.int_identity__customer_map) p using (customer_id)
        where m.valid_from <= $day and (m.valid_to is null or m.valid_to > $day)""",
        {"day": day},
    ).fetchall():
        found[audience].add((brand, customer))
    return found
