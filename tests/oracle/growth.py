"""The growth and private-domain marts once more, slowly, from METRICS.md: loops over people and days, no SQL but to
read the facts below the marts. `expected` gives figures of one brand, `differences` compares them with the marts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median

import duckdb

SILENT = {"ad_impression", "unfollow", "wecom_delete", "group_leave"}
PAGES = {"content_view", "product_view", "store_view"}
VISITS = PAGES | set(
    "ad_click search_category search_brand live_watch store_visit login register favorite cart_add"
    " cart_remove".split()
)
GRANTS, USES = {"coupon_claim", "points_earn"}, {"coupon_use", "sample_claim", "points_redeem"}
# What a kind of touch-point is besides; kinds that stand nowhere are acts and nothing else.
ROLES = {
    "is_visit": VISITS,
    "is_page_view": PAGES,
    "is_login": {"login"},
    "is_registration": {"register"},
    "is_ad_click": {"ad_click"},
    "is_live": {"live_watch"},
    "is_benefit_grant": GRANTS,
    "is_benefit_use": USES,
}
TALKLESS = {"wecom_add", "wecom_delete", "group_join", "group_leave", "follow", "unfollow"}
KEEPS = [1, 2, 3, 4, 5, 6, 7, 14, 30]
FIELDS = ["gender", "birth_date", "phone", "email", "province", "city", "address"]
# table -> rate -> the two figures whose quotient it is; none where the second is nothing.
RATES = {
    "aarrr_daily": {
        "click_through_rate": ("clicks", "impressions"),
        "cost_per_click": ("cost_amount", "clicks"),
        "click_registration_rate": ("click_registrants", "click_base"),
        "registration_rate": ("registered_visitors", "registration_base"),
        "cac_amount": ("acquisition_cost_amount", "new_customers"),
        "activation_rate": ("activated", "activation_base"),
        "actions_per_active_user": ("actions", "dau"),
        "repurchase_rate_365d": ("repeat_buyers_365d", "buyers_365d"),
        "orders_per_buyer_365d": ("orders_365d", "buyers_365d"),
        "roas": ("campaign_sales_amount", "cost_amount"),
        "invite_activation_rate": ("activated_invites", "invites"),
    },
    "aarrr_periods": {
        "click_through_rate": ("clicks", "impressions"),
        "cost_per_click": ("cost_amount", "clicks"),
        "cac_amount": ("acquisition_cost_amount", "new_customers"),
        "cost_per_registration": ("acquisition_cost_amount", "acquired_registrations"),
        "cost_per_contact": ("acquisition_cost_amount", "acquired_contacts"),
        "orders_per_buyer": ("buyer_orders", "buyers"),
        "repurchase_rate": ("repeat_buyers", "buyers"),
        "repurchase_rate_by_order": ("repeat_buyers_by_order", "buyers"),
        "repeat_order_rate": ("repeat_orders", "buyer_orders"),
        "roas": ("campaign_sales_amount", "cost_amount"),
    },
    "retention_daily": {f"retention_rate_{n}d": (f"retained_{n}d", "new_users") for n in KEEPS},
    "retention_entries": {
        f"retention_rate_{n}d": (f"retained_{n}d", f"observed_{n}d") for n in (1, 7, 30)
    },
    "recall_performance": {
        "recall_rate": ("returned", "lapsed_trials"),
        "recall_purchase_rate": ("bought", "lapsed_trials"),
    },
    "referral_cycles": {
        "acceptance_rate": ("accepted", "invites"),
        "invite_activation_rate": ("activated", "invites"),
        "k_factor": ("accepted", "users"),
        "participant_k_factor": ("accepted", "inviters"),
        "referred_amount_share": ("referred_net_amount", "net_amount"),
    },
    "fast_plus_periods": {
        "member_penetration_rate": ("member_buyers", "buyers"),
        "member_amount_share": ("member_net_amount", "net_amount"),
        "buyer_to_member_rate": ("joined_buyers", "non_member_buyers"),
        "private_penetration_rate": ("private_stage_customers", "stage_customers"),
        "private_conversion_rate": ("private_buyers", "private_active"),
        "private_amount_share": ("private_net_amount", "net_amount"),
        "benefit_use_rate": ("benefit_used_members", "benefit_granted_members"),
    },
    "group_pull": {
        "group_active_rate": ("active_members", "group_members"),
        "click_to_pay_rate": ("paying_members", "click_members"),
        "group_retention_rate": ("retained_members", "active_members"),
    },
    "private_reach_daily": {"ended_rate": ("ended_customers", "reachable_before")},
    "private_sink": {
        "sink_rate": ("sunk_visitors", "public_visitors"),
        "buyer_sink_rate": ("sunk_buyers", "public_buyers"),
        "sink_cost": ("cost_amount", "sunk_visitors"),
    },
    "relationship_churn": {"churn_rate": ("lost_customers", "customers_at_start")},
    "staff_funnels": {
        "delete_rate": ("deleted", "contacts_before"),
        "contacted_rate": ("contacted", "added"),
        "ordered_rate": ("ordered", "contacted"),
        "served_rate": ("served", "ordered"),
        "returned_rate": ("returned", "served"),
    },
    "staff_inheritance": {
        "taken_over_rate": ("taken_over", "customers_left"),
        "kept_rate": ("kept", "taken_over"),
    },
    "campaign_loops": {
        "response_rate": ("responded", "touched"),
        "order_rate": ("ordered", "responded"),
        "feedback_rate": ("fed_back", "ordered"),
        "closure_rate": ("closed", "touched"),
        "touched_purchase_rate": ("touched_buyers", "touched"),
        "control_purchase_rate": ("control_buyers", "control_audience"),
    },
    "crowd_matrix": {
        "mean_clv": ("clv_amount", "customers"),
        "cross_category_rate": ("cross_category_buyers", "buyers"),
        "next_stage_rate": ("advanced_customers", "base_customers"),
    },
    "butterfly": {"step_rate": ("customers", "previous_customers")},
    "private_tools": {
        "buyer_rate": ("buyers", "customers"),
        "amount_per_customer": ("net_amount", "customers"),
    },
}


def wrong_roles(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple]:
    """Kinds of touch-points to which a table gives another role than they have."""
    query = connection.execute(f"select * from {table}")
    names = [column[0] for column in query.description]
    found = []
    for row in query.fetchall():
        said = dict(zip(names, row, strict=True))
        kind = said.pop("event_type")
        meant = {"is_active": kind not in SILENT} | {r: kind in kinds for r, kinds in ROLES.items()}
        found += [(kind, said)] if said != meant else []
    return found


def plus(day: date, n: int) -> date:
    return day + timedelta(days=n)


def month(day: date) -> date:
    return day.replace(day=1)


def next_month(day: date, n: int = 1) -> date:
    for _ in range(n):
        day = month(plus(month(day), 31))
    return day


def quarter(day: date) -> date:
    return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)


def known_sum(values) -> object:
    """Sum of what is known, None of nothing."""
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def quotient(top, base) -> float | None:
    return float(top) / float(base) if top is not None and base else None


def origins(met: list[tuple]) -> dict:
    """customer -> channel of the first moment that names one; of one moment's channels the first by name."""
    first: dict = {}
    for moment, customer, channel in met:
        if channel and (customer not in first or (moment, channel) < first[customer]):
            first[customer] = (moment, channel)
    return {customer: channel for customer, (_, channel) in first.items()}


def live(spells: list[tuple[date, date | None]], day: date) -> bool:
    return any(a <= day and (b is None or day < b) for a, b in spells)


@dataclass
class Brand:
    """Facts of one brand. Touches: (customer, day, type, channel, staff, campaign, moment); orders: (customer or None, day,
    channel, campaign, staff, net, domain), and the channels of those that do not count, too; spells by customer:
    relationship -> key -> [(from, to)]; costs: (campaign, day, channel, money, clicks, shown); campaigns: scenario, channel,
    name, budget."""

    brand_id: str
    as_of: date
    first_day: date
    touches: list[tuple]
    orders: list[tuple]
    order_channels: set
    spells: dict
    memberships: dict
    stages: dict
    domains: dict
    counted: set
    campaigns: dict
    costs: list[tuple]
    messages: list[tuple]
    referrals: list[tuple]
    fallback_cycle: int
    categories: dict
    clv: dict
    periods: list[tuple]
    departures: dict
    acts: dict = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        # acts[channel][customer] -> {day: set of event types}; 'all' is every channel, an order is an act.
        self.acts = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.touched = defaultdict(list)
        for touch in self.touches:
            self.touched[touch[0]].append(touch)
        for customer, day, kind, channel, *_ in self.touches:
            if kind not in SILENT:
                for scope in (channel or "unknown", "all"):
                    self.acts[scope][customer][day].append(kind)
        for customer, day, channel, *_ in self.orders:
            if customer is not None:
                for scope in (channel or "unknown", "all"):
                    self.acts[scope][customer][day].append("order")
        self.registered = {}
        for customer in self.counted:
            found = [
                (day, 0, scope)
                for scope, people in self.acts.items()
                if scope != "all"
                for day, kinds in people.get(customer, {}).items()
                if "register" in kinds
            ] + [(start, 1, channel) for start, _, channel in self.memberships.get(customer, [])]
            if found:
                self.registered[customer] = min(found)
        self.buying = {
            c: sorted(d for d, kinds in days.items() if "order" in kinds)
            for c, days in self.acts["all"].items()
            if c in self.counted
        }
        self.buying = {c: days for c, days in self.buying.items() if days}
        self.cycles = self._cycles()
        self.reach = self._reach()
        # Channels in which something is known to have happened.
        self.scopes = {"all"} | {t[3] or "unknown" for t in self.touches}
        self.scopes |= self.order_channels | {x[2] for x in self.costs}
        self.scopes |= {m[2] for found in self.memberships.values() for m in found}
        self.won = {c: (days[0], self._won_by(c)) for c, days in self.buying.items()}

    def _cycles(self) -> dict:
        """Days that each buyer is expected to take: the mean of his own gaps, drawn towards the median of all gaps as if he had
        shown that three times; and the cycle of the brand, a whole number of days."""

        def gaps(buyers) -> list[int]:
            return [(b - a).days for days in buyers for a, b in pairwise(days)]

        # A median of few gaps is no cycle of a person's; of the brand any gap is better than the seed, a visitor's too.
        closed = gaps(self.buying.values())
        usual = median(closed) if len(closed) >= 30 else self.fallback_cycle
        all_closed = gaps(
            sorted(d for d, kinds in days.items() if "order" in kinds)
            for days in self.acts["all"].values()
        )
        found = {"brand": int((median(all_closed) if all_closed else self.fallback_cycle) + 0.5)}
        for customer, days in self.buying.items():
            own = len(days) - 1
            mean = (days[-1] - days[0]).days / own if own else 0
            found[customer] = (own * mean + 3 * usual) / (own + 3)
        return found

    def _won_by(self, customer) -> str:
        """The channel of the first touch-point that has one, up to the first purchase; else that of the purchase."""
        first = self.buying[customer][0]
        met = [(t[6], t[3]) for t in self.touched[customer] if t[3] and t[1] <= first]
        bought = [o[2] for o in self.orders if o[0] == customer and o[1] == first and o[2]]
        return min(met)[1] if met else min(bought, default="unknown")

    def spent(self, first: date, last: date, scope: str) -> dict:
        """What campaigns cost on a channel, and what those that cost anything sold on theirs."""
        found = [x for x in self.costs if first <= x[1] <= last and scope in (x[2], "all")]
        paid = {x[0] for x in self.costs}
        sold = [
            o[5]
            for o in self.orders
            if first <= o[1] <= last
            and o[3] in paid
            and scope in (self.campaigns[o[3]][1] or "unknown", "all")
        ]
        return {
            "impressions": known_sum(x[5] for x in found),
            "clicks": known_sum(x[4] for x in found),
            "cost_amount": known_sum(x[3] for x in found),
            "acquisition_cost_amount": known_sum(
                x[3] for x in found if self.campaigns[x[0]][0] == "acquisition"
            ),
            "campaign_sales_amount": sum(sold) if sold or found else None,
        }

    def won_customers(self, first: date, last: date, scope: str) -> int:
        return sum(
            first <= day <= last and scope in (channel, "all") for day, channel in self.won.values()
        )

    def _reach(self) -> dict:
        """customer -> channel -> spells of consent: a follow, a contact or a group until it ends or the customer unsubscribes
        from its channel; texts from the first delivered one to the first goodbye, not while a membership was quit."""
        found = defaultdict(lambda: defaultdict(list))
        goodbyes = defaultdict(list)
        for campaign, customer, channel, _, _, _, unsubscribed, _, _ in self.messages:
            if campaign in self.campaigns and unsubscribed:
                goodbyes[customer, channel].append(unsubscribed)
        for customer, kinds in self.spells.items():
            for kind, keys in kinds.items():
                for key, spells in keys.items():
                    channel = {"wecom_contact": "wecom", "group_member": "community_group"}.get(
                        kind, key
                    )
                    if kind != "member" and channel:
                        for a, b in spells:
                            ends = [u for u in goodbyes[customer, channel] if live([(a, b)], u)]
                            end = min(ends, default=b)
                            if end is None or a < end:
                                found[customer][channel].append((a, end))
        texts = defaultdict(list)
        for campaign, customer, channel, _, delivered, _, unsubscribed, _, _ in self.messages:
            if channel in ("sms", "email", "app") and campaign in self.campaigns:
                texts[customer, channel].append((delivered, unsubscribed))
        for (customer, channel), sent in texts.items():
            start = min((d for d, _ in sent if d), default=None)
            end = min((u for _, u in sent if u), default=date.max)
            stays = merged([m[:2] for m in self.memberships.get(customer, [])]) or [(None, None)]
            for n, (joined, quit_on) in enumerate(stays if start and start <= self.as_of else []):
                first = max(start, joined) if n else start
                last = min(end, quit_on or date.max)
                if first < last:
                    found[customer][channel].append((first, None if last == date.max else last))
        return {c: dict(channels) for c, channels in found.items() if c in self.counted}

    def private_channels(self, customer, day: date) -> list[str]:
        return [
            channel
            for channel, spells in self.reach.get(customer, {}).items()
            if self.domains.get(channel) == "private" and live(spells, day)
        ]

    def first_private(self, customer) -> date | None:
        starts = [
            start
            for channel, spells in self.reach.get(customer, {}).items()
            if self.domains.get(channel) == "private"
            for start, _ in spells
        ]
        return min(starts, default=None)

    def activated(self, customer, since: date) -> date | None:
        days = [
            d
            for d, kinds in self.acts["all"].get(customer, {}).items()
            if d >= since and ("order" in kinds or USES & set(kinds))
        ]
        return min(days, default=None)

    def is_member(self, customer, day: date) -> bool:
        return any(
            a <= day and (b is None or day < b) for a, b, _ in self.memberships.get(customer, [])
        )


def aarrr_daily(brand: Brand, days: list[date]):
    for day in days:
        for scope in brand.scopes:
            acts = brand.acts[scope]

            def active(customer, first: date, last: date, acts=acts) -> list[date]:
                return [d for d in acts[customer] if first <= d <= last]

            def does(kinds, day=day, acts=acts) -> set:
                return {c for c in acts if kinds & set(acts[c].get(day, []))}

            visitors, clickers = does(VISITS), does({"ad_click"})
            new = {c for c in visitors | clickers if brand.registered.get(c, (day,))[0] >= day}
            here = {
                c
                for c, (on, _, channel) in brand.registered.items()
                if on == day and scope in (channel or "unknown", "all")
            }
            seen = plus(day, 7) <= brand.as_of
            buyers = {
                c: sorted(d for d in active(c, plus(day, -364), day) if "order" in acts[c][d])
                for c in acts
                if c in brand.counted
            }
            buyers = {c: found for c, found in buyers.items() if found}
            orders = [
                o for o in brand.orders if o[1] == day and scope in (o[2] or "unknown", "all")
            ]
            acted = sum(len(active(c, plus(day, -29), day)) for c in acts if c in brand.counted)
            mau = sum(bool(active(c, plus(day, -29), day)) for c in acts if c in brand.counted)
            is_month = plus(day, -29) >= brand.first_day
            asked = [r for r in brand.referrals if r[3] == day] if scope == "all" else None
            activated = None if asked is None else sum(is_activated(brand, r) for r in asked)
            yield (
                ("aarrr_daily", day, scope),
                {
                    "page_views": sum(k in PAGES for c in acts for k in acts[c].get(day, [])),
                    "visitors": len(visitors),
                    "logins": sum(k == "login" for c in acts for k in acts[c].get(day, [])),
                    "login_users": len(does({"login"}) & brand.counted),
                    "dau": sum(day in acts[c] for c in acts if c in brand.counted),
                    "wau": sum(
                        bool(active(c, plus(day, -6), day)) for c in acts if c in brand.counted
                    ),
                    "mau": mau,
                    "active_user_days_30d": acted if is_month else None,
                    "stickiness_rate": quotient(acted / 30, mau) if is_month else None,
                    "actions": sum(len(acts[c].get(day, [])) for c in acts if c in brand.counted),
                    "new_customers": brand.won_customers(day, day, scope),
                    "invites": None if asked is None else len(asked),
                    "inviters": None if asked is None else len({r[1] for r in asked}),
                    "accepted_invites": None
                    if asked is None
                    else sum(r[4] is not None for r in asked),
                    "activated_invites": activated if plus(day, 30) <= brand.as_of else None,
                    "registrations": len(here),
                    "activation_base": len(here) if seen else None,
                    "registration_base": len(visitors & new),
                    "registered_visitors": len(visitors & here),
                    "click_base": len(clickers & new) if seen else None,
                    "click_registrants": sum(
                        c in brand.registered and brand.registered[c][0] <= plus(day, 7)
                        for c in clickers & new
                    )
                    if seen
                    else None,
                    "activated": sum(
                        (brand.activated(c, day) or date.max) <= plus(day, 7) for c in here
                    )
                    if seen
                    else None,
                    "buyers_365d": len(buyers),
                    "repeat_buyers_365d": sum(len(found) > 1 for found in buyers.values()),
                    "orders_365d": sum(
                        acts[c][d].count("order") for c, found in buyers.items() for d in found
                    ),
                    "buyers": sum(day in found for found in buyers.values()),
                    "orders": len(orders),
                    "net_amount": sum(o[5] for o in orders),
                }
                | brand.spent(day, day, scope),
            )


def retention_daily(brand: Brand):
    for scope, acts in brand.acts.items():
        cohorts = defaultdict(list)
        for customer, days in acts.items():
            if customer in brand.counted and days:
                cohorts[min(days)].append(set(days))
        for day, people in cohorts.items():
            figures = {"new_users": len(people)}
            for n in KEEPS:
                seen = plus(day, n) <= brand.as_of
                figures[f"retained_{n}d"] = (
                    sum(plus(day, n) in days for days in people) if seen else None
                )
            yield ("retention_daily", day, scope), figures


def retention_entries(brand: Brand):
    cells = defaultdict(list)
    for scope, acts in brand.acts.items():
        for customer, days in acts.items():
            if scope != "all" and customer in brand.counted and days:
                came = brand.origins.get(customer) or "unknown"
                cells[month(min(days)), scope, came].append(set(days))
    for key, people in cells.items():
        figures = {"new_users": len(people)}
        for n in (1, 7, 30):
            seen = [days for days in people if plus(min(days), n) <= brand.as_of]
            kept = sum(plus(min(days), n) in days for days in seen)
            figures |= {f"observed_{n}d": len(seen), f"retained_{n}d": kept if seen else None}
        yield ("retention_entries", *key), figures


def aarrr_periods(brand: Brand):
    came = {c: brand.origins.get(c) or "unknown" for c in brand.counted}
    brought = [(found[0], came[c]) for c, found in brand.registered.items()]
    met = [(brand.first_private(c), came[c]) for c in brand.reach if brand.first_private(c)]
    for kind, start_of, length in (("month", month, 1), ("quarter", quarter, 3)):
        start = start_of(brand.first_day)
        while start <= brand.as_of:
            end = plus(next_month(start, length), -1)
            before = start_of(plus(start, -1))
            for scope in brand.scopes:
                acts = brand.acts[scope]

                def bought(first: date, last: date, acts=acts) -> dict:
                    found = {
                        c: [
                            k
                            for d in acts[c]
                            if first <= d <= last
                            for k in [acts[c][d].count("order")]
                            if k
                        ]
                        for c in acts
                        if c in brand.counted
                    }
                    return {c: counts for c, counts in found.items() if counts}

                now, then = bought(start, end), bought(before, plus(start, -1))
                inside = {c: [d for d in acts[c] if start <= d <= end] for c in acts}
                orders = [
                    o
                    for o in brand.orders
                    if start <= o[1] <= end and scope in (o[2] or "unknown", "all")
                ]
                acquired, contacts = (
                    sum(start <= day <= end and scope in (channel, "all") for day, channel in found)
                    for found in (brought, met)
                )
                yield (
                    ("aarrr_periods", kind, start, scope),
                    {
                        "period_end": end,
                        "is_complete": end <= brand.as_of,
                        "page_views": sum(
                            k in PAGES
                            for c, days in inside.items()
                            for d in days
                            for k in acts[c][d]
                        ),
                        "registrations": sum(
                            start <= on <= end and scope in (channel or "unknown", "all")
                            for on, _, channel in brand.registered.values()
                        ),
                        "acquired_registrations": acquired,
                        "acquired_contacts": contacts,
                        "orders": len(orders),
                        "net_amount": sum(o[5] for o in orders),
                        "buy_back_rate": quotient(len(now.keys() & then.keys()), len(then))
                        if end <= brand.as_of
                        else None,
                        "visitors": sum(
                            any(VISITS & set(acts[c][d]) for d in days)
                            for c, days in inside.items()
                        ),
                        "active_users": sum(
                            bool(d) for c, d in inside.items() if c in brand.counted
                        ),
                        "active_user_days": sum(
                            len(d) for c, d in inside.items() if c in brand.counted
                        ),
                        "buyers": len(now),
                        "buyer_orders": sum(map(sum, now.values())),
                        "repeat_buyers": sum(len(x) > 1 for x in now.values()),
                        "repeat_buyers_by_order": sum(sum(x) > 1 for x in now.values()),
                        "repeat_orders": sum(
                            acts[c][d].count("order")
                            for c in now
                            for d in acts[c]
                            if start <= d <= end and d > brand.buying[c][0]
                        ),
                        "previous_buyers": len(then),
                        "returned_buyers": len(now.keys() & then.keys()),
                        "new_customers": brand.won_customers(start, end, scope),
                    }
                    | brand.spent(start, end, scope),
                )
            start = next_month(start, length)


def recall(brand: Brand):
    found = defaultdict(dict)
    for campaign, customer, _, sent, _, _, _, failed, control in brand.messages:
        key = (campaign, "control" if control else "contacted")
        if campaign in brand.campaigns and not failed and plus(sent, 30) <= brand.as_of:
            found[key][customer] = min(sent, found[key].get(customer, sent))
    counts = defaultdict(lambda: [0, 0, 0])
    for (campaign, group), people in found.items():
        for customer, sent in people.items():
            before = [d for d in brand.buying.get(customer, []) if d <= sent]
            if not before or (sent - max(before)).days < 3 * brand.cycles["brand"]:
                continue
            after = [d for d in brand.acts["all"][customer] if sent < d <= plus(sent, 30)]
            bought = [d for d in after if "order" in brand.acts["all"][customer][d]]
            for name in (campaign, "all"):
                for i, x in enumerate((1, bool(after), bool(bought))):
                    counts[name, group][i] += x
    for (campaign, group), (trials, *won) in counts.items():
        held, *without = counts.get((campaign, "control"), (0, 0, 0))
        more = [
            a / trials - b / held if group == "contacted" and held else None
            for a, b in zip(won, without, strict=True)
        ]
        yield (
            ("recall_performance", campaign, group),
            {"lapsed_trials": trials, "returned": won[0], "bought": won[1]}
            | {"recall_uplift": more[0], "recall_purchase_uplift": more[1]},
        )


def is_activated(brand: Brand, referral: tuple) -> bool:
    """The guest of an invitation accepted it and did something of value within 30 days of being invited."""
    _, _, guest, invited, accepted = referral
    if not accepted or guest is None:
        return False
    return (brand.activated(guest, accepted) or date.max) <= plus(invited, 30)


def referrals(brand: Brand):
    parents = {}
    for referral, inviter, invitee, invited, accepted in sorted(
        brand.referrals, key=lambda r: (r[4] or date.max, r[3], r[0])
    ):
        if accepted and invitee is not None and invitee != inviter:
            parents.setdefault(invitee, (inviter, accepted, invited, referral))

    def depth(customer) -> int:
        inviter, accepted, *_ = parents[customer]
        n = 1
        while n < 6 and inviter in parents and parents[inviter][1] <= accepted:
            inviter, accepted = parents[inviter][0], parents[inviter][1]
            n += 1
        return n

    for customer in parents:
        if customer in brand.counted and parents[customer][0] in brand.counted:
            yield (
                ("referral_chains", customer),
                {
                    "chain_depth": depth(customer),
                    "referral_level": min(2, depth(customer)),
                    "is_deeper_than_two": depth(customer) > 2,
                    "inviter_customer_id": parents[customer][0],
                    "accepted_on": parents[customer][1],
                    "invited_on": parents[customer][2],
                    "activated_on": brand.activated(customer, parents[customer][1]),
                    "net_amount": sum(o[5] for o in brand.orders if o[0] == customer),
                },
            )
    by_month = defaultdict(list)
    for row in brand.referrals:
        by_month[month(row[3])].append(row)
    firsts = {p[3]: c for c, p in parents.items()}
    start = month(brand.first_day)
    while start <= brand.as_of:
        rows, end, eve = by_month[start], plus(next_month(start), -1), plus(start, -1)
        depths = [depth(firsts[r[0]]) for r in rows if r[0] in firsts]
        seen = plus(end, 30) <= brand.as_of
        activated = [r for r in rows if is_activated(brand, r)]
        users = {
            c
            for c, days in brand.acts["all"].items()
            if c in brand.counted and any(plus(eve, -30) < d <= eve for d in days)
        }
        sold = [o for o in brand.orders if start <= o[1] <= end]
        yield (
            ("referral_cycles", start),
            {
                "is_complete": end <= brand.as_of,
                "users": len(users) if eve >= brand.first_day else None,
                "invitees": len({r[2] for r in rows if r[2] is not None}),
                "longest_chain": max(depths, default=None),
                "net_amount": sum(o[5] for o in sold),
                "referred_net_amount": sum(
                    o[5] for o in sold if o[0] in parents and o[1] >= parents[o[0]][1]
                ),
                "invites": len(rows),
                "inviters": len({r[1] for r in rows}),
                "accepted": sum(r[4] is not None for r in rows),
                "activated": len(activated) if seen else None,
                "accepted_level_1": depths.count(1),
                "accepted_level_2": sum(d > 1 for d in depths),
                "deeper_chains": sum(d > 2 for d in depths),
            },
        )
        start = next_month(start)


def fast_plus(brand: Brand):
    for kind, period, start, ends, last in brand.periods:
        before = plus(start, -1)
        orders = [o for o in brand.orders if start <= o[1] <= last]
        known = [o for o in orders if o[0] in brand.counted]
        member = [o for o in orders if o[0] is not None and brand.is_member(o[0], o[1])]
        old = {
            c
            for c, days in brand.buying.items()
            if days[0] <= before and not brand.is_member(c, before)
        }
        private = {c for c in brand.reach if brand.private_channels(c, last)}
        assets = {
            c for c, spells in brand.stages["aipl"].items() if live([s[:2] for s in spells], last)
        }
        benefit = {
            kinds_name: {
                c
                for c, days in brand.acts["all"].items()
                if c in brand.counted
                for d, kinds in days.items()
                if start <= d <= last and set(kinds) & kinds_set and brand.is_member(c, d)
            }
            for kinds_name, kinds_set in (("grant", GRANTS), ("use", USES))
        }
        yield (
            ("fast_plus_periods", kind, period),
            {
                "starts_on": start,
                "ends_on": ends,
                "last_on": last,
                "is_complete": ends <= brand.as_of,
                "buyers": len({o[0] for o in known}),
                "member_buyers": len({o[0] for o in known if o in member}),
                "net_amount": sum(o[5] for o in orders),
                "member_net_amount": sum(o[5] for o in member),
                "private_net_amount": sum(o[5] for o in orders if o[6] == "private"),
                "private_buyers": len({o[0] for o in known if o[6] == "private"}),
                "private_active": len(
                    {
                        c
                        for scope, people in brand.acts.items()
                        if brand.domains.get(scope) == "private"
                        for c, days in people.items()
                        if c in brand.counted and any(start <= d <= last for d in days)
                    }
                ),
                "non_member_buyers": len(old),
                "joined_buyers": sum(
                    any(start <= a <= last for a, _, _ in brand.memberships.get(c, [])) for c in old
                ),
                "private_customers": len(private),
                "private_stage_customers": len(private & assets),
                "stage_customers": len(assets),
                "benefit_granted_members": len(benefit["grant"]),
                "benefit_used_members": len(benefit["grant"] & benefit["use"]),
            },
        )


def groups(brand: Brand):
    week = plus(brand.first_day, -brand.first_day.weekday())
    talk = brand.acts["community_group"]
    while week <= brand.as_of:
        last = min(plus(week, 6), brand.as_of)
        members = {
            c
            for c, channels in brand.reach.items()
            if any(
                a <= last and (b is None or b > week)
                for a, b in merged(channels.get("community_group", []))
            )
        }

        def active(customer, first: date) -> list[date]:
            return [d for d in talk[customer] if first <= d <= plus(first, 6)]

        clicks = {
            c: min((d for d in active(c, week) if PAGES & set(talk[c][d])), default=None)
            for c in members
        }
        clicks = {c: d for c, d in clicks.items() if d}
        if members:
            seen = plus(week, 13) <= brand.as_of
            yield (
                ("group_pull", week),
                {
                    "is_complete": plus(week, 6) <= brand.as_of,
                    "group_members": len(members),
                    "active_members": sum(bool(active(c, week)) for c in members),
                    "click_members": len(clicks),
                    "paying_members": sum(
                        any(on <= d <= plus(week, 6) for d in brand.buying.get(c, []))
                        for c, on in clicks.items()
                    ),
                    "retained_members": sum(
                        bool(active(c, week)) and bool(active(c, plus(week, 7))) for c in members
                    )
                    if seen
                    else None,
                },
            )
        week = plus(week, 7)


def merged(spells: list[tuple]) -> list[tuple]:
    """Spells that touch or overlap, as one."""
    found: list[list] = []
    for a, b in sorted(spells, key=lambda s: (s[0], s[1] or date.max)):
        if found and (found[-1][1] is None or a <= found[-1][1]):
            found[-1][1] = None if found[-1][1] is None or b is None else max(found[-1][1], b)
        else:
            found.append([a, b])
    return [tuple(x) for x in found]


def turned(now: set, then: set, domain: str) -> dict:
    return {
        "channel_domain": domain,
        "reachable_customers": len(now),
        "reachable_before": len(then),
        "started_customers": len(now - then),
        "ended_customers": len(then - now),
        "net_change": len(now) - len(then),
    }


def reach_daily(brand: Brand, days: list[date]):
    channels = {channel for found in brand.reach.values() for channel in found}
    ever = {
        n + 1
        for c, found in brand.reach.items()
        for spells in found.values()
        for start, _ in spells
        for n in range(len(brand.private_channels(c, start)))
    }
    for day in days:
        for channel in channels:
            now = {c for c, f in brand.reach.items() if live(f.get(channel, []), day)}
            then = {c for c, f in brand.reach.items() if live(f.get(channel, []), plus(day, -1))}
            domain = brand.domains.get(channel, "unknown")
            yield ("private_reach_daily", day, channel), turned(now, then, domain)
        for name, least in (("any", 1), ("two_or_more", 2)):
            now, then = (
                {c for c in brand.reach if len(brand.private_channels(c, d)) >= least}
                for d in (day, plus(day, -1))
            )
            if least in ever:
                yield ("private_reach_daily", day, name), turned(now, then, "private")


def sink(brand: Brand):
    cells = defaultdict(list)
    public = [s for s in brand.acts if brand.domains.get(s) == "public"]
    for scope in ["all", *public]:
        for customer in brand.counted:
            by_month = defaultdict(lambda: [[], []])
            for channel in public if scope == "all" else [scope]:
                for day, kinds in brand.acts[channel].get(customer, {}).items():
                    if VISITS & set(kinds):
                        by_month[month(day)][0].append(day)
                    if "order" in kinds:
                        by_month[month(day)][1].append(day)
            for start, (visits, orders) in by_month.items():
                if not visits and not orders:
                    continue
                met, first = min(visits + orders), brand.first_private(customer)
                if plus(met, 30) <= brand.as_of and (first is None or first >= met):
                    days = (first - met).days if first and first <= plus(met, 30) else None
                    ordered = min(orders, default=None)
                    after = bool(ordered and first and ordered <= first <= plus(ordered, 30))
                    cells[start, scope].append((days, ordered is not None, after))
    for (start, scope), people in cells.items():
        sunk = [days for days, _, _ in people if days is not None]
        end = plus(next_month(start), -1)
        yield (
            ("private_sink", start, scope),
            {
                "is_complete": plus(end, 30) <= brand.as_of,
                "cost_amount": known_sum(
                    x[3]
                    for x in brand.costs
                    if start <= x[1] <= end
                    and (x[2] == scope or (scope == "all" and brand.domains.get(x[2]) == "public"))
                ),
                "public_visitors": len(people),
                "sunk_visitors": len(sunk),
                "public_buyers": sum(x for _, x, _ in people),
                "sunk_buyers": sum(x for _, _, x in people),
                "median_days_to_sink": float(median(sunk)) if sunk else None,
            },
        )


def churn(brand: Brand):
    """Relationship and purchase churn by standing at the end of every day of a month."""
    holds = defaultdict(dict)
    for customer, kinds in brand.spells.items():
        if customer in brand.counted:
            for kind, keys in kinds.items():
                holds[kind][customer] = [s for spells in keys.values() for s in spells]
    for customer, channels in brand.reach.items():
        for channel, spells in channels.items():
            if brand.domains.get(channel) == "private":
                holds["private_any"].setdefault(customer, []).extend(spells)
    for customer, days in brand.buying.items():
        limit = -(-3 * max(1, brand.cycles[customer]) // 1)
        holds["purchase"][customer] = [(d, plus(d, int(limit))) for d in days]
    for kind, people in holds.items():
        start = month(brand.first_day)
        while start <= brand.as_of:
            end = plus(next_month(start), -1)
            last = min(end, brand.as_of)
            days = [plus(start, n) for n in range((last - start).days + 1)]
            there = {c for c, spells in people.items() if live(spells, plus(start, -1))}
            lost = {c for c in there if any(not live(people[c], d) for d in days)}
            yield (
                ("relationship_churn", start, kind),
                {
                    "is_complete": end <= brand.as_of,
                    "customers_at_start": len(there),
                    "lost_customers": len(lost),
                    "gained_customers": sum(
                        c not in there and any(live(spells, d) for d in days)
                        for c, spells in people.items()
                    ),
                    "customers_at_end": sum(live(s, last) for s in people.values()),
                },
            )
            start = next_month(start)


def staff(brand: Brand):
    talks = defaultdict(list)
    for customer, day, kind, _, person, *_ in brand.touches:
        if person and kind not in TALKLESS:
            talks[person, customer].append(day)
    brought = defaultdict(list)
    for _, inviter, _, _, accepted in brand.referrals:
        if accepted:
            brought[inviter].append(accepted)
    cells = defaultdict(list)
    for customer, kinds in brand.spells.items():
        for person, spells in kinds.get("wecom_contact", {}).items():
            if not person:
                continue
            added = min(a for a, _ in spells)
            days = talks[person, customer]
            buys = sorted({o[1] for o in brand.orders if o[0] == customer})
            contacted = min((d for d in days if added <= d <= plus(added, 3)), default=None)
            bought = contacted and min(
                (d for d in buys if contacted <= d <= plus(contacted, 30)), default=None
            )
            served = bought and any(bought < d <= plus(bought, 14) for d in days)
            again = served and any(bought < d <= plus(bought, 90) for d in buys)
            told = served and any(bought <= d <= plus(bought, 90) for d in brought[customer])
            cells[person, month(added)].append(
                (
                    added,
                    bool(contacted),
                    bool(bought),
                    bool(served),
                    bool(again or told),
                    bool(again and told),
                )
            )
    contacts = [
        (person, customer, a, b)
        for customer, kinds in brand.spells.items()
        for person, spells in kinds.get("wecom_contact", {}).items()
        if person
        for a, b in spells
    ]
    guided = [(o[4], o[1], o[5]) for o in brand.orders if o[4]]
    months = {(person, month(b)) for person, _, _, b in contacts if b}
    months |= {(person, month(day)) for person, day, _ in guided}
    for person, start in cells.keys() | months:
        rows = cells.get((person, start), [])
        seen = plus(max((r[0] for r in rows), default=date.min), 3 + 30 + 90) <= brand.as_of
        names = ["contacted", "ordered", "served", "returned", "key_opinion_consumers"]
        mine = [(a, b) for p, _, a, b in contacts if p == person]
        sold = [net for p, day, net in guided if p == person and month(day) == start]
        yield (
            ("staff_funnels", person, start),
            {
                "is_observed": seen,
                "added": len(rows),
                "contacts_before": sum(a < start and (b is None or b >= start) for a, b in mine)
                if start >= month(brand.first_day)
                else 0,
                "deleted": sum(b is not None and month(b) == start for _, b in mine),
                "guided_orders": len(sold),
                "guided_net_amount": sum(sold),
            }
            | {n: sum(r[i + 1] for r in rows) if seen else None for i, n in enumerate(names)},
        )
    # Who left, what became of the customers.
    seen_on = defaultdict(list)
    for (person, _), days in talks.items():
        seen_on[person] += days
    for order in brand.orders_with_staff:
        seen_on[order[0]].append(order[1])
    for person, _, a, _ in contacts:
        seen_on[person].append(a)
    left = {}
    for person, days in seen_on.items():
        gone = brand.departures.get(person)
        if gone is None and plus(max(days), 1) <= plus(brand.as_of, -90):
            gone = plus(max(days), 1)
        if gone is not None and gone <= brand.as_of:
            left[person] = gone
    for person, gone in left.items():
        mine = {
            c for p, c, a, b in contacts if p == person and a < gone and (b is None or b >= gone)
        }
        over, kept = set(), set()
        for p, c, a, b in contacts:
            if c in mine and p != person and a <= plus(gone, 30) and (b is None or b > gone):
                taken = max(a, gone)
                if p not in left or left[p] > taken:
                    over.add(c)
                    if b is None or b > plus(taken, 30):
                        kept.add(c)
        yield (
            ("staff_inheritance", person),
            {
                "left_on": gone,
                "left_source": "seed" if person in brand.departures else "silence",
                "customers_left": len(mine),
                "taken_over": len(over) if plus(gone, 30) <= brand.as_of else None,
                "kept": len(kept) if plus(gone, 60) <= brand.as_of else None,
            },
        )


def loops(brand: Brand):
    people = defaultdict(dict)
    for (
        campaign,
        customer,
        _,
        sent,
        delivered,
        responded,
        unsubscribed,
        _,
        control,
    ) in brand.messages:
        if customer in brand.counted:
            row = people[campaign].setdefault(
                customer, {"sent": [], "touch": [], "response": [], "control": [], "bye": False}
            )
            row["sent"].append(sent)
            row["control"].append(bool(control))
            row["touch"] += [delivered] if delivered else []
            row["response"] += [responded] if responded else []
            row["bye"] |= unsubscribed is not None
    seen = defaultdict(lambda: defaultdict(lambda: ([], [])))
    for customer, day, kind, _, _, campaign, _ in brand.touches:
        if campaign and customer in brand.counted:
            seen[campaign][customer][0].append(day)
            if kind not in SILENT:
                seen[campaign][customer][1].append(day)
    for campaign in brand.campaigns:
        rows = []
        for customer in people[campaign].keys() | seen[campaign].keys():
            told = people[campaign].get(customer)
            touched, answered = seen[campaign].get(customer, ([], []))
            control = bool(told) and all(told["control"])
            touch = [] if control else touched + (told["touch"] if told else [])
            response = [] if control else answered + (told["response"] if told else [])
            start = min(told["sent"]) if told else min(touched)
            bought = {o[1]: 0 for o in brand.orders if o[0] == customer}
            for o in brand.orders:
                if o[0] == customer:
                    bought[o[1]] += o[5]
            inside = {d: x for d, x in bought.items() if start <= d <= plus(start, 30)}
            ordered = min((d for d in inside if response and d >= min(response)), default=None)
            closing = ordered if touch and response else None
            back = closing and (
                any(
                    closing <= d <= plus(closing, 30)
                    for c, d, kind, *_ in brand.touches
                    if c == customer and kind == "review"
                )
                or any(closing <= d <= plus(closing, 30) for c, d in brand.refunds if c == customer)
                or any(closing < d <= plus(closing, 30) for d in bought)
            )
            later = sum(x for d, x in inside.items() if d > start)
            rows.append(
                {
                    "start": start,
                    "control": control,
                    "touched": bool(touch),
                    "responded": bool(touch and response),
                    "ordered": closing is not None,
                    "fed_back": bool(back),
                    "closed": bool(touch)
                    and bool(response or any(d > start for d in inside) or (told and told["bye"])),
                    "later": later,
                    "bought_later": any(d > start for d in inside),
                    "cycle": (closing - min(touch)).days if closing else None,
                    "answered": sum(x for d, x in inside.items() if closing and d >= min(response)),
                }
            )
        if rows:
            over = plus(max(r["start"] for r in rows), 30) <= brand.as_of
            touched = [r for r in rows if r["touched"]]
            held = [r for r in rows if r["control"]]
            more = (
                float(sum(r["later"] for r in touched))
                - len(touched) * float(sum(r["later"] for r in held)) / len(held)
                if held and touched and over
                else None
            )
            scenario, channel, name, budget = brand.campaigns[campaign]
            spent = known_sum(x[3] for x in brand.costs if x[0] == campaign)
            cost = budget if spent is None else spent
            cycles = [r["cycle"] for r in rows if r["cycle"] is not None]
            yield (
                ("campaign_loops", campaign),
                {
                    "campaign_name": name,
                    "scenario": scenario,
                    "channel": channel,
                    "is_observed": over,
                    "touch_rate": quotient(len(touched), len(rows) - len(held)),
                    "median_cycle_days": float(median(cycles)) if cycles and over else None,
                    "ordered_amount": sum(r["answered"] for r in rows) if over else None,
                    "touched_buyers": sum(r["bought_later"] for r in touched) if over else None,
                    "control_buyers": sum(r["bought_later"] for r in held)
                    if held and over
                    else None,
                    "cost_amount": cost,
                    "cost_basis": None if cost is None else "budget" if spent is None else "cost",
                    # The whole of the money is taken for margin (clv_margin_rate).
                    "roi": quotient(more - float(cost), cost)
                    if more is not None and cost
                    else None,
                    "audience": len(rows),
                    "control_audience": len(held),
                    "touched": len(touched),
                    "responded": sum(r["responded"] for r in rows),
                    "ordered": sum(r["ordered"] for r in rows) if over else None,
                    "fed_back": sum(r["fed_back"] for r in rows) if over else None,
                    "closed": sum(r["closed"] for r in rows) if over else None,
                    "incremental_amount": more,
                },
            )


def crowd(brand: Brand):
    ranks = {"suspect": 1, "prospect": 2, "single": 3, "repeat": 4, "loyal": 5}
    base_day = plus(brand.as_of, -90)

    def looks(day: date) -> dict:
        spent = defaultdict(float)
        for customer, on, *_, net, _ in brand.orders:
            if customer is not None and on <= day:
                spent[customer] += float(net)

        def tier(customer) -> str:
            if customer not in spent:
                return "none"
            below = sum(x < spent[customer] - 1e-9 for x in spent.values())
            share = below / (len(spent) - 1) if len(spent) > 1 else 0
            return "high" if share >= 0.8 else "middle" if share >= 1 - 0.2 - 0.3 else "low"

        return {
            c: (stage, tier(c))
            for c, spells in brand.stages["lifecycle"].items()
            for a, b, stage in spells
            if a <= day and (b is None or day < b)
        }

    now, then = looks(brand.as_of), looks(base_day)
    cells = defaultdict(lambda: [0, 0.0, 0, 0])
    worth, buyers, across = (defaultdict(list) for _ in range(3))
    for c, (stage, tier) in now.items():
        if c in brand.counted:
            for key in ((stage, tier), ("all", tier), (stage, "all"), ("all", "all")):
                cells[key][0] += 1
                cells[key][1] += float(brand.clv.get(c, 0))
                worth[key].append(float(brand.clv.get(c, 0)))
                if tier != "none":
                    buyers[key].append(c)
                    across[key] += [c] if len(brand.categories.get(c, {})) > 1 else []
    for c, (stage, tier) in then.items():
        if c in brand.counted:
            for key in ((stage, tier), ("all", tier), (stage, "all"), ("all", "all")):
                cells[key][2] += 1
                cells[key][3] += c in now and ranks[now[c][0]] > ranks[stage]
    order = sorted(ranks, key=ranks.get)
    for (stage, tier), (people, clv, base, advanced) in cells.items():
        following = order[order.index(stage) + 1] if stage in order[:-1] else None
        aims = [cells.get((following, t)) for t in (tier, "all")]
        aims = [x for x in aims if x and x[0]]
        stake = max(0.0, people * aims[0][1] / aims[0][0] - clv) if aims and people else None
        yield (
            ("crowd_matrix", stage, tier),
            {
                "customers": people,
                "clv_amount": clv,
                "base_customers": base,
                "advanced_customers": advanced,
                "value_at_stake": stake,
                "as_of_date": brand.as_of,
                "base_date": base_day,
                "stage_rank": ranks.get(stage),
                "next_stage": following,
                "buyers": len(buyers[stage, tier]),
                "cross_category_buyers": len(across[stage, tier]),
                "median_clv": median(worth[stage, tier]) if people else None,
                "target_clv": aims[0][1] / aims[0][0] if aims else None,
            },
        )


def butterfly(brand: Brand):
    left, right = defaultdict(list), defaultdict(list)
    for customer, days in brand.acts["all"].items():
        if customer not in brand.counted or not days:
            continue
        joined = customer in brand.registered or brand.first_private(customer) is not None
        visited = any(VISITS & set(kinds) for kinds in days.values())
        buys = brand.buying.get(customer, [])
        first = buys[0] if buys else date.max

        def took(after: date, until: date, customer=customer, days=days) -> tuple:
            """Touch-points and money after one day and up to another."""
            kinds = [k for d, found in days.items() if after < d <= until for k in found]
            money = [o[5] for o in brand.orders if o[0] == customer and after < o[1] <= until]
            return len(kinds) - kinds.count("order"), sum(money)

        left[month(min(days))].append(
            (
                1,
                visited,
                visited and joined,
                visited and joined and bool(buys),
                took(date.min, first),
            )
        )
        if buys:
            end = plus(first, 90)
            again = any(first < d <= end for d in buys)
            more = again and any(
                first < min(on) <= end for on in brand.categories.get(customer, {}).values()
            )
            told = more and any(
                r[1] == customer and r[4] and first <= r[4] <= end for r in brand.referrals
            )
            right[month(first)].append(
                (1, any(first < d <= end for d in days), again, more, told, took(first, end))
            )
    for wing, cohorts, names in (
        ("left", left, ["met", "visited", "connected", "first_purchase"]),
        ("right", right, ["first_purchase", "retained", "repurchased", "expanded", "referred"]),
    ):
        for start, rows in cohorts.items():
            # The last day of the month is the one whose days are over last; only days with somebody count.
            last = max(
                (days[0] for days in brand.buying.values() if month(days[0]) == start),
                default=date.min,
            )
            over = wing == "left" or plus(last, 90) <= brand.as_of
            counts = [sum(bool(r[n]) for r in rows) for n in range(len(names))]
            for n, name in enumerate(names):
                shown = over or n == 0
                yield (
                    ("butterfly", wing, start, n + 1),
                    {
                        "step": name,
                        "is_observed": shown,
                        "customers": counts[n] if shown else None,
                        "previous_customers": counts[n - 1] if shown and n else None,
                        "wing_touchpoints": sum(r[-1][0] for r in rows) if over else None,
                        "wing_net_amount": sum(r[-1][1] for r in rows) if over else None,
                    },
                )


def owner(brand: Brand, customer) -> tuple[str, str] | tuple[None, None]:
    """Of the staff in whose WeCom the customer is, the one last in touch; else who guided the last order."""
    talked: dict = {}
    for _, _, _, _, person, _, at in brand.touched[customer]:
        if live(brand.spells[customer]["wecom_contact"].get(person, []), brand.as_of) and person:
            talked[person] = max(at, talked.get(person, at))
    if talked:
        return min(p for p, at in talked.items() if at == max(talked.values())), "wecom"
    sold = [o for o in brand.orders_with_staff if o[2] == customer and o[6]]
    if not sold:
        return None, None
    last = [o for o in sold if o[3] == max(o[3] for o in sold)]
    system = min(o[4] for o in last)
    return max((o for o in last if o[4] == system), key=lambda o: o[5])[0], "order"


def tools(brand: Brand):
    """The four tools by who uses which, from what `customers` says of each."""
    cells = defaultdict(list)
    letters = {"uses_wecom": "W", "uses_miniprogram": "M", "uses_live": "L", "uses_group": "G"}
    for _, row in customers(brand):
        cells["".join(x if row[name] else "-" for name, x in letters.items())].append(row)
    everybody = sum(len(rows) for rows in cells.values())
    money = sum(r["net_amount_in_window"] for rows in cells.values() for r in rows)
    for combination, rows in cells.items():
        net = sum(r["net_amount_in_window"] for r in rows)
        yield (
            ("private_tools", combination),
            {
                "as_of_date": brand.as_of,
                "has_wecom": "W" in combination,
                "has_miniprogram": "M" in combination,
                "has_live": "L" in combination,
                "has_group": "G" in combination,
                "tool_count": 4 - combination.count("-"),
                "customers": len(rows),
                "customer_share": len(rows) / everybody,
                "buyers": sum(r["orders_in_window"] > 0 for r in rows),
                "orders": sum(r["orders_in_window"] for r in rows),
                "net_amount": net,
                "amount_share": quotient(net, money),
            },
        )


def customers(brand: Brand):
    # Private channels that ever reached anybody: the best that a customer can have.
    used = {
        channel
        for channels in brand.reach.values()
        for channel, spells in channels.items()
        if brand.domains.get(channel) == "private" and spells
    }
    for customer in brand.counted:
        channels = {
            c for c, spells in brand.reach.get(customer, {}).items() if live(spells, brand.as_of)
        }
        window = plus(brand.as_of, -365)
        days = {d: k for d, k in brand.acts["all"].get(customer, {}).items() if d > window}
        if customer in brand.reach or brand.acts["all"].get(customer):
            uses = {
                "uses_wecom": "wecom" in channels,
                "uses_group": "community_group" in channels,
                "uses_miniprogram": any(
                    d > window for d in brand.acts["miniprogram"].get(customer, {})
                ),
                "uses_live": any("live_watch" in k for k in days.values()),
            }
            who, why = owner(brand, customer)
            yield (
                ("private_customers", customer),
                uses
                | {
                    "as_of_date": brand.as_of,
                    "owner_id": who,
                    "owner_source": why,
                    "reachable_channels": ",".join(sorted(channels)) or None,
                    "is_private": bool(brand.private_channels(customer, brand.as_of)),
                    "tool_count": sum(uses.values()),
                    "possible_fields": len(FIELDS) + 1,
                    "net_amount_in_window": sum(
                        o[5] for o in brand.orders if o[0] == customer and o[1] > window
                    ),
                    "live_channels": len(channels),
                    "private_channels": sum(brand.domains.get(c) == "private" for c in channels),
                    "active_days_30d": sum(d > plus(brand.as_of, -30) for d in days),
                    "orders_in_window": sum(k.count("order") for k in days.values()),
                    "known_fields": brand.known_fields[customer],
                    "data_score": brand.known_fields[customer] / (len(FIELDS) + 1),
                    "brand_private_channels": len(used),
                    "reach_score": len(brand.private_channels(customer, brand.as_of)) / len(used)
                    if used
                    else None,
                    "stickiness_score": sum(d > plus(brand.as_of, -30) for d in days) / 30,
                },
            )


KEYS = {
    "aarrr_daily": ["as_of_date", "channel"],
    "retention_daily": ["cohort_date", "channel"],
    "retention_entries": ["cohort_month", "channel", "entry_channel"],
    "aarrr_periods": ["period_kind", "period_start", "channel"],
    "recall_performance": ["campaign_id", "test_group"],
    "referral_chains": ["customer_id"],
    "referral_cycles": ["cycle_month"],
    "fast_plus_periods": ["period_kind", "period_id"],
    "group_pull": ["week_start"],
    "private_reach_daily": ["as_of_date", "reach_channel"],
    "private_sink": ["visit_month", "public_channel"],
    "relationship_churn": ["churn_month", "kind"],
    "staff_funnels": ["staff_id", "added_month"],
    "staff_inheritance": ["staff_id"],
    "campaign_loops": ["campaign_id"],
    "crowd_matrix": ["life_stage", "value_tier"],
    "butterfly": ["wing", "cohort_month", "step_number"],
    "private_customers": ["customer_id"],
    "private_tools": ["combination"],
}


def expected(brand: Brand, days: list[date]):
    parts = [aarrr_daily(brand, days), reach_daily(brand, days)]
    parts += [
        part(brand)
        for part in (
            retention_daily, retention_entries, aarrr_periods, recall, referrals, fast_plus, groups, sink, churn, staff,
            loops, crowd, butterfly, customers, tools,
        )
    ]  # fmt: skip
    for part in parts:
        for key, figures in part:
            rates = RATES.get(key[0], {})
            yield (
                key,
                figures
                | {rate: quotient(figures[a], figures[b]) for rate, (a, b) in rates.items()},
            )


def read(connection: duckdb.DuckDBPyConnection, brand_id: str) -> Brand:
    """The facts below the marts, per brand; public ids stand for customers."""

    def rows(sql: str) -> list[tuple]:
        return connection.execute(sql).fetchall()

    ids = dict(
        rows("select distinct customer_key, customer_id from identity.int_identity__customer_map")
    )
    hidden = {
        c
        for (c,) in rows(
            "select distinct customer_id from identity.int_identity__customer_map where is_anonymous_visitor"
        )
    }
    (as_of,) = rows("select as_of_date from reference.as_of")[0]
    where = f"where brand_id = '{brand_id}'"
    spells = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for key, kind, name, a, b in rows(
        f"select customer_key, relationship, relationship_key, valid_from, valid_to from lifecycle.fct_relationship_spells {where}"
    ):
        spells[ids[key]][kind][name].append((a, b))
    memberships = defaultdict(list)
    for key, a, b, channel in rows(
        f"select customer_key, valid_from, valid_to, coalesce(join_channel, 'unknown') from lifecycle.fct_membership_spells {where}"
    ):
        memberships[ids[key]].append((a, b, channel))
    stages = defaultdict(lambda: defaultdict(list))
    for model, key, a, b, stage in rows(
        f"select model, customer_key, valid_from, valid_to, stage from lifecycle.int_stages__spells {where}"
    ):
        stages[model][ids[key]].append((a, b, stage))
    campaigns = {
        r[0]: r[1:]
        for r in rows(
            f"select campaign_id, scenario, channel, campaign_name, budget_amount from staging.stg_landing__campaigns {where}"
        )
    }
    owners = defaultdict(list)
    for identifier, key, since, until in rows(
        "select identifier_key, customer_key, valid_from, valid_to from identity.int_identity__resolution"
    ):
        owners[identifier].append((key, since, until))

    def owner(identifier: int, moment: datetime) -> str | None:
        """Who had the identifier at a moment."""
        for key, since, until in owners[identifier]:
            if (since is None or moment >= since) and (until is None or moment < until):
                return ids[key]
        return None

    # What happened to a message after the as-of date has not happened yet.
    messages = [
        (
            campaign,
            owner(identifier, sent_at),
            *how[:2],
            *(d if d and d <= as_of else None for d in how[2:5]),
            *how[5:],
        )
        for campaign, identifier, sent_at, *how in rows(
            """select campaign_id, identifier_key, sent_at, channel, sent_on, cast(delivered_at as date),
            cast(coalesce(opened_at, clicked_at) as date), cast(unsubscribed_at as date), failed_reason, is_control
            from staging.stg_landing__messages where sent_on <= (select as_of_date from reference.as_of)"""
        )
        if campaign in campaigns and owner(identifier, sent_at)
    ]
    joined = defaultdict(list)
    for key, brand, at, card, a, b in rows(
        "select customer_key, brand_id, joined_at, membership_key, valid_from, valid_to from lifecycle.fct_membership_spells"
    ):
        joined[ids[key]].append((at, brand, card, a, b))
    told = []
    for referral, inviter, invitee, at, invited, accepted in rows(
        "select referral_id, inviter_key, invitee_key, invited_at, invited_on, accepted_on from staging.stg_landing__referrals"
    ):
        who, guest = owner(inviter, at), owner(invitee, at)
        # Nobody invites himself.
        if who and who != guest and invited <= as_of:
            cards = [x for x in joined[who] if live([x[3:]], invited)]
            if (min(cards)[1] if cards else "default") == brand_id:
                told.append(
                    (
                        referral,
                        who,
                        guest,
                        invited,
                        accepted if accepted and accepted <= as_of else None,
                    )
                )
    categories = defaultdict(lambda: defaultdict(list))
    for key, category, day in rows(
        f"""select customer_key, category, purchased_on from lifecycle.fct_order_lines {where}
        and is_valid_purchase and customer_key is not null and category is not null"""
    ):
        categories[ids[key]][category].append(day)
    orders = rows(
        f"""select customer_key, purchased_on, channel, campaign_id, staff_id, net_amount, channel_domain
        from lifecycle.fct_orders {where} and is_valid_purchase"""
    )
    brand = Brand(
        brand_id=brand_id,
        as_of=as_of,
        first_day=rows(f"select min(as_of_date) from lifecycle.int_stages__calendar {where}")[0][0],
        touches=[
            (ids[r[0]], *r[1:])
            for r in rows(
                f"select customer_key, occurred_on, event_type, channel, staff_id, campaign_id, occurred_at from lifecycle.fct_touchpoints {where}"
            )
        ],
        orders=[(ids.get(r[0]), *r[1:]) for r in orders],
        order_channels={
            channel
            for (channel,) in rows(
                f"select distinct coalesce(channel, 'unknown') from lifecycle.fct_orders {where}"
            )
        },
        spells=spells,
        memberships=memberships,
        stages=stages,
        domains=dict(rows("select channel, domain from reference.channels")),
        counted=set(ids.values()) - hidden,
        campaigns=campaigns,
        costs=[
            (r[0], r[1], r[2] or campaigns[r[0]][1] or "unknown", *r[3:])
            for r in rows(
                "select campaign_id, spent_on, channel, cost_amount, clicks, impressions from staging.stg_landing__campaign_costs"
            )
            if r[0] in campaigns and r[1] <= as_of
        ],
        messages=messages,
        referrals=told,
        fallback_cycle=rows(
            "select cycle_days from reference.category_cycles where category = '*'"
        )[0][0],
        categories=categories,
        clv=dict(rows(f"select customer_id, clv from marts.clv_customers {where}")),
        periods=rows(
            f"select period_kind, period_id, starts_on, ends_on, last_on from marts.fast_periods {where} and period_kind <> 'week'"
        ),
        departures=dict(rows(f"select staff_id, left_on from reference.staff_departures {where}")),
    )
    brand.origins = origins(
        [(r[6], r[0], r[3]) for r in brand.touches]
        + [
            (at, ids[key], channel)
            for key, at, channel in rows(
                f"select customer_key, ordered_at, channel from lifecycle.fct_orders {where} and customer_key is not null"
            )
        ]
    )
    brand.orders_with_staff = [
        (staff, day, ids.get(key), *rest)
        for staff, day, key, *rest in rows(
            f"""select staff_id, purchased_on, customer_key, ordered_at, source_system, order_id, valid_from
            from lifecycle.fct_orders {where} and staff_id is not null"""
        )
    ]
    # Seven fields of the profile, and one for two or more identifiers.
    brand.known_fields = {
        customer: sum(value is not None for value in values) + (identifiers >= 2)
        for customer, identifiers, *values in rows(
            f"select customer_id, personal_id_count, {', '.join(FIELDS)} from identity.dim_customers"
        )
    }
    brand.refunds = [
        (ids[k], d)
        for k, d in rows(
            f"select customer_key, refunded_on from lifecycle.fct_refunds {where} and customer_key is not null"
        )
    ]
    return brand


def answers(asked: list[tuple[Brand, list[date]]]) -> dict[str, dict[str, dict[tuple, dict]]]:
    """Figures by hand of each brand, with the days on which its daily tables are asked: table, brand, key, column."""
    wanted = {table: {brand.brand_id: {} for brand, _ in asked} for table in KEYS}
    for brand, days in asked:
        for (table, *key), figures in expected(brand, days):
            wanted[table][brand.brand_id][tuple(key)] = figures
    return wanted


def differences(
    connection: duckdb.DuckDBPyConnection, asked: list[tuple[Brand, list[date]]]
) -> list[str]:
    """Sentences about figures that the marts have otherwise."""
    wanted = answers(asked)
    return [
        sentence
        for table in KEYS
        for sentence in table_differences(connection, table, wanted[table])
    ]


def table_differences(
    connection: duckdb.DuckDBPyConnection, table: str, wanted: dict[str, dict[tuple, dict]]
) -> list[str]:
    """The same for one table and any number of brands, whose figures by hand are given. The table is read once, and of a
    daily one the days asked for alone."""
    days = {key[0] for rows in wanted.values() for key in rows}
    daily = KEYS[table][0] == "as_of_date"
    query = connection.execute(
        f"select * from marts.{table}" + (" where list_contains(?, as_of_date)" if daily else ""),
        [sorted(days)] if daily else [],
    )
    names = [column[0] for column in query.description]
    marts = {brand_id: {} for brand_id in wanted}
    for row in query.fetchall():
        record = dict(zip(names, row, strict=True))
        if record["brand_id"] in marts:
            marts[record["brand_id"]][tuple(record[k] for k in KEYS[table])] = record
    found: list[str] = []
    for brand_id, rows in wanted.items():
        has_rows = marts[brand_id]
        for key, figures in rows.items():
            for column, figure in figures.items():
                if figure is ...:
                    continue
                has = has_rows.get(key, {}).get(column, "no row" if key not in has_rows else None)
                if not same(has, figure):
                    found.append(f"{table} {brand_id} {key} {column}: {has}, by hand {figure}")
        # Of a daily table the days asked for, of the others the whole is computed anew.
        asked = {key[0] for key in rows} if daily else None
        found += [
            f"{table} {brand_id} {key}: not by hand"
            for key in has_rows.keys() - rows.keys()
            if asked is None or key[0] in asked
        ]
    by_hand = {column for rows in wanted.values() for row in rows.values() for column in row}
    if by_hand:
        unread = set(names) - by_hand - {"brand_id", *KEYS[table]}
        found += [f"{table} {column}: not by hand" for column in sorted(unread)]
    return found


def same(has, figure) -> bool:
    if has is None or figure is None or isinstance(has, str | date | bool):
        return has == figure
    return abs(float(has) - float(figure)) < 1e-3
