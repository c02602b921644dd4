"""Cycles, reminders, churn, cohorts and contacts a second time, in plain Python, customer by customer (METRICS sections 0, 7
and 8). Cycles are exact fractions, a relationship is the set of days on which it was live, validity comes from the
refunds. Nothing here is taken from the SQL of the models."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, prod

DAY = dt.timedelta(days=1)
SHRINKAGE, MIN_LEAD, LEAD_SHARE = 3, 3, Fraction(1, 10)
BANDS = [(3, "churned"), (Fraction(3, 2), "warning"), (1, "due"), (0, "active")]
CALIBRATION, OUTCOME, REFUND, SAVE, SAVE_WINDOW = 90, 30, 30, 30, 365
HORIZONS, COHORT_MONTHS, CHURN_MONTHS = [30, 60, 90, 180, 365], 60, 60

Row = dict[str, object]


def half_up(value: Fraction | float, digits: int = 0) -> Fraction:
    return Fraction(floor(Fraction(value) * 10**digits + Fraction(1, 2)), 10**digits)


def money(value):
    return None if value is None else half_up(value, 4)


def ratio(part, whole):
    return None if part is None or not whole else Fraction(part) / Fraction(whole)


def month_of(day: dt.date) -> dt.date:
    return day.replace(day=1)


def months_after(month: dt.date, number: int) -> dt.date:
    years, index = divmod(month.month - 1 + number, 12)
    return dt.date(month.year + years, index + 1, 1)


def months_between(first: dt.date, last: dt.date) -> int:
    return 12 * (last.year - first.year) + last.month - first.month


def quantile(values: list[int], share: Fraction) -> Fraction | None:
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low = floor(place)
    above = ordered[min(low + 1, len(ordered) - 1)]
    return ordered[low] + (above - ordered[low]) * (place - low)


def half_have_bought(gaps: list[tuple[int, bool]]) -> int | None:
    """Kaplan and Meier: the length at which the share of those who still wait is first a half or less."""
    share = Fraction(1)
    for length in sorted({length for length, _ in gaps}):
        waiting = sum(other >= length for other, _ in gaps)
        share *= 1 - Fraction(sum(closed and other == length for other, closed in gaps), waiting)
        if share <= Fraction(1, 2):
            return length
    return None


def expected_cycle(days: list[dt.date], cycle: Fraction) -> Fraction:
    """w * own mean gap + (1 - w) * cycle, w = gaps / (gaps + k)."""
    gaps = len(days) - 1
    weight = Fraction(gaps, gaps + SHRINKAGE)
    own = Fraction((max(days) - min(days)).days, gaps) if gaps else Fraction(0)
    return weight * own + (1 - weight) * Fraction(cycle)


def band_of(overdue: Fraction) -> str:
    return next(band for least, band in BANDS if overdue >= least)


TABLES = {
    "lifecycle.fct_orders": "brand_id source_system order_id customer_key channel staff_id ordered_at valid_from paid_amount",
    "lifecycle.fct_refunds": "brand_id source_system order_id customer_key is_linked refunded_on refund_amount",
    "lifecycle.fct_touchpoints": "brand_id customer_key channel staff_id occurred_on occurred_at",
    "lifecycle.fct_relationship_spells": "brand_id customer_key relationship relationship_key valid_from valid_to",
    "lifecycle.fct_consent_spells": "brand_id customer_key channel valid_from valid_to",
    "staging.stg_landing__campaigns": "brand_id campaign_id channel scenario",
    "marts.clv_customers": "brand_id customer_id p_alive historical_value clv clv_decile is_high_value is_model_used discounted_clv",
    "marts.rfm_customers": "brand_id scope is_as_of frequency monetary_amount",
}


class Facts:
    """What lies below the value marts, read once; of each table the rows of a brand."""

    def __init__(self, ask: Callable[[str], list[tuple]], min_gaps: int) -> None:
        self.ask, self.min_gaps = ask, min_gaps
        ((self.as_of,),) = ask("select as_of_date from reference.as_of")
        self.seed = dict(ask("select category, cycle_days from reference.category_cycles"))
        people = "select customer_key, customer_id from identity.int_identity__customer_map"
        self.ids = dict(ask(f"{people} where not is_anonymous_visitor"))
        self.tables = {}
        for table, columns in TABLES.items():
            self.tables[table] = defaultdict(list)
            for row in self.rows(table, columns):
                self.tables[table][row["brand_id"]].append(row)
        self.lines, self.returned, self.messages, self.costs = (defaultdict(list) for _ in range(4))
        for line in self.rows("lifecycle.fct_order_lines", "source_system order_id category"):
            self.lines[line["source_system"], line["order_id"]].append(
                line["category"] or "unknown"
            )
        for refunds in self.tables["lifecycle.fct_refunds"].values():
            for refund in refunds:
                if refund["is_linked"]:
                    self.returned[refund["source_system"], refund["order_id"]].append(refund)
        owners = self.rows(
            "identity.int_identity__resolution", "identifier_key customer_key valid_from valid_to"
        )
        sent = "campaign_id identifier_key sent_on sent_at failed_reason is_control"
        for message in self.rows("staging.stg_landing__messages", sent):
            for owner in owners:
                if (
                    owner["identifier_key"] == message["identifier_key"]
                    and (owner["valid_from"] is None or owner["valid_from"] <= message["sent_at"])
                    and (owner["valid_to"] is None or message["sent_at"] < owner["valid_to"])
                ):
                    self.messages[message["campaign_id"]].append(
                        message | {"customer_key": owner["customer_key"]}
                    )
        for cost in self.rows(
            "staging.stg_landing__campaign_costs", "campaign_id channel spent_on cost_amount"
        ):
            self.costs[cost["campaign_id"]].append(cost)

    def rows(self, table: str, columns: str) -> list[Row]:
        names = columns.split()
        return [
            dict(zip(names, row, strict=True))
            for row in self.ask(f"select {', '.join(names)} from {table}")
        ]

    def brands(self) -> list[str]:
        return sorted({brand for table in self.tables.values() for brand in table})


class Brand:
    """One brand: `tables` {relation: rows}."""

    def __init__(self, facts: Facts, name: str) -> None:
        self.facts, self.name, self.as_of = facts, name, facts.as_of
        self.tables: dict[str, list[Row]] = defaultdict(list)
        self.orders = self.of("lifecycle.fct_orders")
        for order in self.orders:
            key = order["source_system"], order["order_id"]
            order["returned"] = [
                (r["refunded_on"], r["refund_amount"]) for r in facts.returned[key]
            ]
            order["categories"] = set(facts.lines[key]) or {"unknown"}
        self.observe()
        self.contact()
        self.reach()
        self.warn_and_remind()
        self.look_back()
        self.save()
        self.leave()
        self.acquire()

    def of(self, table: str) -> list[Row]:
        return self.facts.tables[table][self.name]

    def add(self, relation: str, **row) -> None:
        self.tables[relation].append({"brand_id": self.name, **row})

    @staticmethod
    def net(order: Row, day: dt.date):
        return order["paid_amount"] - sum(amount for on, amount in order["returned"] if on <= day)

    def is_valid(self, order: Row, day: dt.date) -> bool:
        return (
            order["valid_from"] is not None
            and order["valid_from"] <= day
            and self.net(order, day) > 0
        )

    def purchases(self, day: dt.date) -> dict[int, dict[dt.date, list[Row]]]:
        """Valid purchases of known customers at the end of the day, by customer and purchase day."""
        found: dict[int, dict] = defaultdict(lambda: defaultdict(list))
        for order in self.orders:
            if order["customer_key"] in self.facts.ids and self.is_valid(order, day):
                found[order["customer_key"]][order["valid_from"]].append(order)
        return found

    # Cycles.

    def observe(self) -> None:
        # Of the brand any gap is better than the seed, a visitor's too.
        bought = defaultdict(set)
        for order in self.orders:
            if order["customer_key"] is not None and self.is_valid(order, self.as_of):
                bought[order["customer_key"]].add(order["valid_from"])
        self.observations: dict[str, dt.date] = {}
        self.cycles: dict[tuple, Fraction] = {}
        self.expected: dict[tuple, Row] = {}
        self.days = {"as_of": {}}
        if not bought:
            return
        gaps = [(b - a).days for days in bought.values() for a, b in pairwise(sorted(days))]
        self.cycle = int(half_up(quantile(gaps, Fraction(1, 2)) if gaps else self.facts.seed["*"]))
        self.observations = {
            "as_of": self.as_of,
            "clv_calibration": self.as_of - CALIBRATION * DAY,
            "churn_backtest": self.as_of - self.cycle * DAY,
        }
        for observation, day in self.observations.items():
            named = {"observation": observation, "observation_date": day}
            self.add("lifecycle.int_value__observations", **named, cycle_days=self.cycle)
            self.days[observation] = self.purchases(day)
            for customer, days in self.days[observation].items():
                for on, orders in days.items():
                    self.add(
                        "lifecycle.int_value__purchase_days", **named, customer_key=customer, purchased_on=on,
                        order_count=len(orders), net_amount=sum(self.net(order, day) for order in orders),
                    )  # fmt: skip
            if observation != "clv_calibration":
                self._gaps(named, day)

    def categories(self, observation: str, customer: int) -> dict[str, list[dt.date]]:
        found = defaultdict(set)
        for on, orders in self.days[observation][customer].items():
            for order in orders:
                for category in order["categories"]:
                    found[category].add(on)
        return {category: sorted(days) for category, days in found.items()}

    def _gaps(self, named: Row, today: dt.date) -> None:
        observation = named["observation"]
        every = defaultdict(list)
        for customer in self.days[observation]:
            days = sorted(self.days[observation][customer])
            later = dict(zip(days, [*days[1:], None], strict=True))
            of_category = self.categories(observation, customer)
            gaps = [("any", "*", on, later[on]) for on in days]
            for category, on_days in of_category.items():
                gaps += [
                    ("same", category, a, b)
                    for a, b in zip(on_days, [*on_days[1:], None], strict=True)
                ]
                for on in on_days:
                    self.add(
                        "lifecycle.int_value__category_days", **named, customer_key=customer, category=category,
                        purchased_on=on,
                    )  # fmt: skip
                    others = [
                        c
                        for c, found in of_category.items()
                        if later[on] in found and c != category
                    ]
                    if later[on] is None or others:
                        gaps.append(("cross", category, on, later[on]))
            for kind, category, on, until in gaps:
                length = ((until or today) - on).days
                every[kind, category].append((length, until is not None))
                self.add(
                    "lifecycle.int_value__gaps", **named, customer_key=customer, kind=kind, category=category,
                    purchased_on=on, is_completed=until is not None, gap_days=length,
                )  # fmt: skip
        self._cycles(observation, every)
        for customer in self.days[observation]:
            days = {
                "*": sorted(self.days[observation][customer]),
                **self.categories(observation, customer),
            }
            for category, on_days in days.items():
                self._person(named, customer, category, on_days)

    def _cycles(self, observation: str, every: dict[tuple, list]) -> None:
        for (kind, category), gaps in sorted(every.items(), key=str):  # `any` first
            closed = [length for length, is_closed in gaps if is_closed]
            quartiles = {f"p{n}_days": quantile(closed, Fraction(n, 100)) for n in (25, 50, 75)}
            whole = self.cycles.get((observation, "measured"))
            if len(closed) >= self.facts.min_gaps:
                cycle, source = quartiles["p50_days"], "measured"
                if kind == "any":
                    self.cycles[observation, "measured"] = cycle
            elif category != "*" and category in self.facts.seed:
                cycle, source = self.facts.seed[category], "seed"
            elif whole is not None:
                cycle, source = whole, "brand"
            else:
                cycle, source = self.facts.seed["*"], "default"
            self.cycles[observation, kind, category] = Fraction(cycle)
            counts = {"completed_gaps": len(closed), "open_gaps": len(gaps) - len(closed)}
            told = {
                "kind": kind, "category": category, **counts, **quartiles,
                "censored_median_days": half_have_bought(gaps), "cycle_days": cycle, "cycle_source": source,
            }  # fmt: skip
            self.add("lifecycle.int_value__cycles", observation=observation, **told)
            if observation == "as_of":
                rate = ratio(counts["open_gaps"], len(gaps))
                self.add("marts.repurchase_cycles", as_of_date=self.as_of, open_rate=rate, **told)

    def _person(self, named: Row, customer: int, category: str, days: list[dt.date]) -> None:
        observation, today = named["observation"], named["observation_date"]
        usual = self.cycles[observation, "any" if category == "*" else "same", category]
        expected, waited = expected_cycle(days, usual), (today - days[-1]).days
        due = days[-1] + int(half_up(expected)) * DAY
        lead = int(half_up(max(MIN_LEAD, LEAD_SHARE * expected)))
        overdue = waited / max(expected, Fraction(1))
        row = {
            **named, "customer_key": customer, "category": category, "purchase_days": len(days),
            "last_purchase_on": days[-1], "category_cycle_days": usual, "expected_cycle_days": expected, "due_on": due,
            "lead_days": lead, "days_since_last": waited, "overdue_ratio": overdue,
            "is_due": abs((today - due).days) <= lead, "band": band_of(overdue),
        }  # fmt: skip
        self.expected[observation, customer, category] = row
        self.add("lifecycle.int_value__person_cycles", **row)

    def people(self, observation: str, of_category: bool) -> list[Row]:
        return [
            row
            for (seen, _, category), row in self.expected.items()
            if seen == observation and (category != "*") == of_category
        ]

    # Messages and staff.

    def contact(self) -> None:
        self.contacts = set()
        for campaign in self.of("staging.stg_landing__campaigns"):
            for message in self.facts.messages[campaign["campaign_id"]]:
                if message["failed_reason"] is None and message["sent_on"] <= self.as_of:
                    self.contacts.add(
                        (campaign["campaign_id"], campaign["scenario"], message["customer_key"],
                         bool(message["is_control"]), message["sent_on"])
                    )  # fmt: skip
        for campaign, scenario, customer, is_control, on in self.contacts:
            row = {
                "campaign_id": campaign,
                "customer_key": customer,
                "is_control": is_control,
                "sent_on": on,
            }
            self.add("lifecycle.int_value__contacts", scenario=scenario, **row)
            if scenario == "membership":
                self.add("lifecycle.int_value__reminder_messages", **row)

    def first_contacts(self, scenarios: set[str] | None = None) -> dict[tuple, dt.date]:
        """(campaign, customer, is_control) -> day of the first message."""
        found: dict[tuple, dt.date] = {}
        for campaign, scenario, customer, is_control, on in sorted(
            self.contacts, key=lambda c: c[-1]
        ):
            if scenarios is None or scenario in scenarios:
                found.setdefault((campaign, customer, is_control), on)
        return found

    def reach(self) -> None:
        guides, sellers, channels = defaultdict(dict), {}, defaultdict(set)
        live = {
            (spell["customer_key"], spell["relationship_key"])
            for spell in self.of("lifecycle.fct_relationship_spells")
            if spell["relationship"] == "wecom_contact"
            and spell["relationship_key"]
            and spell["valid_to"] is None
        }
        for touch in self.of("lifecycle.fct_touchpoints"):
            if (touch["customer_key"], touch["staff_id"]) in live:
                seen = guides[touch["customer_key"]]
                before = seen.get(touch["staff_id"], touch["occurred_at"])
                seen[touch["staff_id"]] = max(before, touch["occurred_at"])
        sold = [
            o
            for o in self.orders
            if o["staff_id"] and o["valid_from"] and o["customer_key"] is not None
        ]
        for order in sorted(sold, key=lambda o: o["order_id"]):
            for_now = sellers.get(order["customer_key"])
            if for_now is None or (order["ordered_at"], -ord(order["source_system"])) >= (
                for_now["ordered_at"], -ord(for_now["source_system"])
            ):  # fmt: skip
                sellers[order["customer_key"]] = order
        for consent in self.of("lifecycle.fct_consent_spells"):
            if consent["valid_from"] <= self.as_of and (
                consent["valid_to"] is None or consent["valid_to"] > self.as_of
            ):
                channels[consent["customer_key"]].add(consent["channel"])
        self.reached = {}
        for customer in {*guides, *sellers, *channels}:
            owner, source = None, None
            if guides[customer]:
                latest = max(guides[customer].values())
                owner, source = (
                    min(g for g, at in guides[customer].items() if at == latest),
                    "wecom",
                )
            elif customer in sellers:
                owner, source = sellers[customer]["staff_id"], "order"
            self.reached[customer] = {
                "owner_id": owner, "owner_source": source,
                "reachable_channels": ",".join(sorted(channels[customer])) or None,
            }  # fmt: skip
            self.add("lifecycle.int_value__reach", customer_key=customer, **self.reached[customer])

    def reached_by(self, customer: int) -> Row:
        nobody = {"owner_id": None, "owner_source": None, "reachable_channels": None}
        return self.reached.get(customer, nobody)

    # Who is due, who is leaving.

    def warn_and_remind(self) -> None:
        worth = {row["customer_id"]: row for row in self.of("marts.clv_customers")}
        refunded, reminded = {}, {}
        for refund in self.of("lifecycle.fct_refunds"):
            customer = refund["customer_key"]
            refunded[customer] = max(
                refund["refunded_on"], refunded.get(customer, refund["refunded_on"])
            )
        for _, scenario, customer, is_control, on in self.contacts:
            if scenario == "membership" and not is_control:
                reminded[customer] = max(on, reminded.get(customer, on))
        for person in self.people("as_of", of_category=False):
            if person["band"] in ("warning", "churned"):
                told = worth.get(self.facts.ids[person["customer_key"]], {})
                until = ceil(BANDS[1][0] * max(person["expected_cycle_days"], Fraction(1)))
                self.add(
                    "marts.churn_warnings", as_of_date=self.as_of,
                    customer_id=self.facts.ids[person["customer_key"]], band=person["band"],
                    last_purchase_on=person["last_purchase_on"],
                    days_since_last_purchase=person["days_since_last"], purchase_days=person["purchase_days"],
                    expected_cycle_days=half_up(person["expected_cycle_days"], 4),
                    overdue_ratio=half_up(person["overdue_ratio"], 4),
                    warned_on=person["last_purchase_on"] + until * DAY,
                    **{name: told.get(name) for name in ("p_alive", "historical_value", "clv", "clv_decile", "is_high_value")},
                    **self.reached_by(person["customer_key"]),
                )  # fmt: skip
        for due in self.people("as_of", of_category=True):
            if not due["is_due"]:
                continue
            customer = due["customer_key"]
            last = self.expected["as_of", customer, "*"]["last_purchase_on"]
            back, told = refunded.get(customer), reminded.get(customer)
            why = None
            if (self.as_of - last).days < due["lead_days"]:
                why = "recent order"
            elif back and back >= due["last_purchase_on"] and (self.as_of - back).days < REFUND:
                why = "recent refund"
            elif told and (self.as_of - told).days < due["expected_cycle_days"] / 2:
                why = "recent reminder"
            self.add(
                "marts.repurchase_reminders", as_of_date=self.as_of, customer_id=self.facts.ids[customer],
                category=due["category"], last_purchase_on=due["last_purchase_on"],
                purchase_days=due["purchase_days"], expected_cycle_days=half_up(due["expected_cycle_days"], 4),
                due_on=due["due_on"], lead_days=due["lead_days"], **self.reached_by(customer),
                is_high_value=worth.get(self.facts.ids[customer], {}).get("is_high_value"),
                last_refunded_on=back, last_reminded_on=told, suppressed_reason=why,
            )  # fmt: skip

    def look_back(self) -> None:
        """Both back-tests: what the last cycle's warnings and due dates said, and what came."""
        if not self.observations:
            return
        start = self.observations["churn_backtest"]
        away, groups = defaultdict(list), defaultdict(list)
        for person in self.people("churn_backtest", of_category=False):
            later = [on for on in self.days["as_of"].get(person["customer_key"], {}) if on > start]
            for band in ("all", person["band"]):
                away[band].append(not later)
        rates = {band: Fraction(sum(gone), len(gone)) for band, gone in away.items()}
        for band, gone in away.items():
            on_time = 1 - rates["active"] if "active" in rates else None
            self.add(
                "marts.churn_backtest", band=band, warned_on=start, observed_to=self.as_of, customers=len(gone),
                stayed_away=sum(gone), stayed_away_rate=rates[band], lift=ratio(rates[band], rates["all"]),
                purchase_ratio=ratio(1 - rates[band], on_time),
            )  # fmt: skip
        for due in self.people("churn_backtest", of_category=True):
            end = start + 2 * due["lead_days"] * DAY
            bought = (
                self.categories("as_of", due["customer_key"])
                if due["customer_key"] in self.days["as_of"]
                else {}
            )
            came = any(start < on <= end for on in bought.get(due["category"], []))
            groups["due_date", "due" if due["is_due"] else "not_due"].append(came)
        from_date, to_date = start - OUTCOME * DAY, self.as_of - OUTCOME * DAY
        for (_, customer, is_control), on in self.first_contacts({"membership"}).items():
            if from_date < on <= to_date:
                days = self.days["as_of"].get(customer, {})
                came = any(on < day <= on + OUTCOME * DAY for day in days)
                groups["message", "control" if is_control else "reminded"].append(came)
        of = {"due": "not_due", "reminded": "control"}
        for (test, group), came in groups.items():
            baseline = groups.get((test, of.get(group)))
            rate = Fraction(sum(came), len(came))
            self.add(
                "marts.reminder_backtest", test=test, test_group=group,
                from_date=start if test == "due_date" else from_date,
                to_date=self.as_of if test == "due_date" else to_date, trials=len(came), buyers=sum(came),
                purchase_rate=rate, uplift=rate - Fraction(sum(baseline), len(baseline)) if baseline else None,
            )  # fmt: skip

    def save(self) -> None:
        sent_after, sent_to = self.as_of - (SAVE + SAVE_WINDOW) * DAY, self.as_of - SAVE * DAY
        trials = defaultdict(list)
        for (_, customer, is_control), on in self.first_contacts().items():
            days = sorted(self.days["as_of"].get(customer, {}))
            before = [day for day in days if day <= on]
            if before and sent_after < on <= sent_to:
                expected = expected_cycle(before, self.cycles["as_of", "any", "*"])
                band = band_of((on - before[-1]).days / max(expected, Fraction(1)))
                came = any(on < day <= on + SAVE * DAY for day in days)
                trials[band, "control" if is_control else "contacted"].append(came)
        for (band, group), came in trials.items():
            if band in ("warning", "churned"):
                rate, control = Fraction(sum(came), len(came)), trials.get((band, "control"))
                uplift = None
                if group == "contacted" and control:
                    uplift = rate - Fraction(sum(control), len(control))
                self.add(
                    "marts.churn_saves", band=band, test_group=group, sent_after=sent_after, sent_to=sent_to,
                    trials=len(came), saved=sum(came), saved_rate=rate, uplift=uplift,
                )  # fmt: skip

    def leave(self) -> None:
        """A relationship is the days on which it was live."""
        live: dict[tuple, set[dt.date]] = defaultdict(set)

        def lasts(relationship: str, customer: int, start: dt.date, end: dt.date) -> None:
            last = min(end, self.as_of + DAY)
            live[relationship, customer] |= {start + n * DAY for n in range((last - start).days)}

        for customer, found in self.days["as_of"].items():
            days = sorted(found)
            for n, on in enumerate(days):
                expected = expected_cycle(days[: n + 1], self.cycles["as_of", "any", "*"])
                gone = on + ceil(BANDS[0][0] * max(expected, Fraction(1))) * DAY
                lasts("purchase", customer, on, min([gone, *days[n + 1 : n + 2]]))
        for spell in self.of("lifecycle.fct_relationship_spells"):
            if spell["customer_key"] in self.facts.ids:
                lasts(
                    spell["relationship"], spell["customer_key"], spell["valid_from"],
                    spell["valid_to"] or self.as_of + DAY,
                )  # fmt: skip
        for (relationship, customer), days in live.items():
            for start in sorted(day for day in days if day - DAY not in days):
                end = start
                while end in days:
                    end += DAY
                self.add(
                    "lifecycle.int_value__active_spells", relationship=relationship, customer_key=customer,
                    live_from=start, live_to=end if end <= self.as_of else None,
                )  # fmt: skip
        rates = {}
        for relationship in {kind for kind, _ in live}:
            people = {
                customer: days for (kind, customer), days in live.items() if kind == relationship
            }
            first = month_of(min(min(days) for days in people.values()))
            month = max(first, months_after(month_of(self.as_of + DAY), -CHURN_MONTHS))
            while (following := months_after(month, 1)) - DAY <= self.as_of:
                base = {c for c, days in people.items() if month - DAY in days}
                inside = [month + n * DAY for n in range((following - month).days)]
                came = {
                    c
                    for c, days in people.items()
                    if any(d in days and d - DAY not in days for d in inside)
                }
                left = {c for c in base if any(d not in people[c] for d in inside)}
                rates[relationship, month] = ratio(len(left), len(base))
                self.add(
                    "marts.churn_rates", as_of_date=self.as_of, relationship=relationship, churn_month=month,
                    base_customers=len(base), gained_customers=len(came), lost_customers=len(left),
                    churn_rate=rates[relationship, month],
                )  # fmt: skip
                month = following
        self._plan([rate for (kind, _), rate in sorted(rates.items()) if kind == "purchase"])

    def _plan(self, rates: list) -> None:
        buyers = [
            r for r in self.of("marts.rfm_customers") if r["is_as_of"] and r["scope"] == "all"
        ]
        if not buyers:
            return
        orders, amount = (
            sum(b["frequency"] for b in buyers),
            sum(b["monetary_amount"] for b in buyers),
        )
        known = [rate for rate in rates[-12:] if rate is not None]
        leaves = (
            1 - prod((1 - rate for rate in known), start=Fraction(1)) if len(known) == 12 else None
        )
        value, often, years = ratio(amount, orders), ratio(orders, len(buyers)), ratio(1, leaves)
        self.add(
            "marts.clv_planning", as_of_date=self.as_of, customers=len(buyers), orders=orders, monetary_amount=amount,
            order_value=money(value), orders_per_year=often, annual_churn_rate=leaves, lifetime_years=years,
            planning_value=money(None if years is None else value * often * years),
        )  # fmt: skip

    # Cohorts.

    def acquire(self) -> None:
        self.cohort: dict[int, Row] = {}
        for customer, days in self.days["as_of"].items():
            first = min(days)
            touches = [
                (touch["occurred_at"], touch["channel"])
                for touch in self.of("lifecycle.fct_touchpoints")
                if touch["customer_key"] == customer
                and touch["channel"]
                and touch["occurred_on"] <= first
            ]
            sold = sorted(order["channel"] for order in days[first] if order["channel"])
            self.cohort[customer] = {
                "first_purchase_on": first, "cohort_month": month_of(first),
                "acquisition_channel": min(touches)[1] if touches else sold[0] if sold else "unknown",
            }  # fmt: skip
            self.add(
                "lifecycle.int_value__acquisitions", customer_key=customer, **self.cohort[customer]
            )
        self._money()
        for channel in ["all", *{found["acquisition_channel"] for found in self.cohort.values()}]:
            for month in {found["cohort_month"] for found in self.cohort.values()}:
                people = {
                    customer
                    for customer, found in self.cohort.items()
                    if found["cohort_month"] == month
                    and channel in ("all", found["acquisition_channel"])
                }
                if people:
                    self._retention(channel, month, people)
        self._economics()

    def _money(self) -> None:
        """customer -> day -> [orders, money by order date, money by refund date]."""
        self.flows: dict[int, dict] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
        counted = {}
        for order in self.orders:
            counts = order["valid_from"] is not None and order["valid_from"] <= self.as_of
            counted[order["source_system"], order["order_id"]] = counts
            if counts and order["customer_key"] in self.cohort:
                flow = self.flows[order["customer_key"]][order["valid_from"]]
                if self.is_valid(order, self.as_of):
                    flow[0] += 1
                    flow[1] += self.net(order, self.as_of)
                flow[2] += order["paid_amount"]
        for refund in self.of("lifecycle.fct_refunds"):
            linked = refund["is_linked"]
            # The money of an order that never counted never came in, and cannot go out.
            if linked and not counted[refund["source_system"], refund["order_id"]]:
                continue
            if refund["customer_key"] in self.cohort:
                flow = self.flows[refund["customer_key"]][refund["refunded_on"]]
                flow[1] -= 0 if linked else refund["refund_amount"]
                flow[2] -= refund["refund_amount"]
        for customer, days in self.flows.items():
            for on, (orders, by_order, by_refund) in days.items():
                self.add(
                    "lifecycle.int_value__money_days", customer_key=customer, **self.cohort[customer], flow_date=on,
                    order_count=orders, order_date_amount=by_order, refund_date_amount=by_refund,
                )  # fmt: skip

    def second_day(self, customer: int) -> dt.date | None:
        return [*sorted(self.days["as_of"][customer]), None][1]

    def _retention(self, channel: str, cohort: dt.date, people: set[int]) -> None:
        named = {"as_of_date": self.as_of, "acquisition_channel": channel, "cohort_month": cohort}
        flows = [(c, on, *flow) for c in people for on, flow in self.flows[c].items()]
        oldest = min(found["cohort_month"] for found in self.cohort.values())
        for number in range(min(months_between(oldest, self.as_of), COHORT_MONTHS) + 1):
            month, end = months_after(cohort, number), months_after(cohort, number + 1) - DAY
            # Money from before the cohort began is of its first month.
            seen = [flow for flow in flows if flow[1] <= end and (flow[1] >= month or number == 0)]
            so_far = [flow for flow in flows if flow[1] <= end]
            again = sum(1 for c in people if self.second_day(c) and self.second_day(c) <= end)
            told = {
                "buyers": len({flow[0] for flow in seen if flow[2]}), "repeat_customers": again,
                "orders": sum(flow[2] for flow in seen), "order_date_amount": sum(flow[3] for flow in seen),
                "refund_date_amount": sum(flow[4] for flow in seen),
                "cumulative_order_date_amount": sum(flow[3] for flow in so_far),
                "cumulative_refund_date_amount": sum(flow[4] for flow in so_far),
            }  # fmt: skip
            told["retention_rate"] = ratio(told["buyers"], len(people))
            told["repeat_rate"] = ratio(again, len(people))
            told["cumulative_amount_per_customer"] = money(
                ratio(told["cumulative_order_date_amount"], len(people))
            )
            is_observed = end <= self.as_of
            self.add(
                "marts.retention_cohorts", **named, month_number=number, is_observed=is_observed,
                cohort_customers=len(people), **(told if is_observed else dict.fromkeys(told)),
            )  # fmt: skip
        for horizon in HORIZONS:
            observed, again, amount = 0, 0, 0
            for customer in people:
                first = self.cohort[customer]["first_purchase_on"]
                end = first + horizon * DAY
                if end <= self.as_of:
                    observed += 1
                    second = self.second_day(customer)
                    again += second is not None and second <= end
                    amount += sum(flow[1] for on, flow in self.flows[customer].items() if on <= end)
            self.add(
                "marts.repurchase_cohorts", **named, horizon_days=horizon, cohort_customers=len(people),
                observed_customers=observed, repeat_customers=again if observed else None,
                repurchase_rate=ratio(again, observed), order_date_amount=amount if observed else None,
                amount_per_customer=money(ratio(amount, observed)),
            )  # fmt: skip

    def _economics(self) -> None:
        costs, people = defaultdict(lambda: None), defaultdict(set)
        for campaign in self.of("staging.stg_landing__campaigns"):
            for cost in (
                self.facts.costs[campaign["campaign_id"]]
                if campaign["scenario"] == "acquisition"
                else []
            ):
                if cost["spent_on"] <= self.as_of:
                    channel = cost["channel"] or campaign["channel"] or "unknown"
                    for booked in {"all", channel}:
                        key = booked, month_of(cost["spent_on"])
                        costs[key] = (costs[key] or 0) + cost["cost_amount"]
        for customer, found in self.cohort.items():
            for channel in ("all", found["acquisition_channel"]):
                people[channel, found["cohort_month"]].add(customer)
        worth = {row["customer_id"]: row for row in self.of("marts.clv_customers")}
        for channel, month in {*costs, *people}:
            new, cost = people.get((channel, month), set()), costs[channel, month]
            by_day = defaultdict(Fraction)  # days after the first purchase
            for customer in new:
                for on, flow in self.flows[customer].items():
                    by_day[(on - self.cohort[customer]["first_purchase_on"]).days] += Fraction(
                        flow[1]
                    )
            value = sum(by_day.values()) if new else None
            come = [worth[self.facts.ids[customer]] for customer in new]
            future = [
                w["discounted_clv"]
                for w in come
                if w["is_model_used"] and w["discounted_clv"] is not None
            ]
            expected = sum(future) if future else None
            whole = None if value is None else value + Fraction(expected or 0)
            paid_back = [
                n
                for n in by_day
                if cost is not None and sum(v for k, v in by_day.items() if k <= n) >= cost
            ]
            ltv = {}
            for horizon in (90, 180, 365):
                ends = [self.cohort[c]["first_purchase_on"] + horizon * DAY for c in new]
                within = sum(
                    flow[1]
                    for c, end in zip(new, ends, strict=True)
                    for on, flow in self.flows[c].items()
                    if on <= end
                )
                is_seen = new and max(ends) <= self.as_of
                ltv[f"ltv_{horizon}d"] = money(ratio(within, len(new))) if is_seen else None
            self.add(
                "marts.unit_economics", as_of_date=self.as_of, acquisition_channel=channel, cohort_month=month,
                new_customers=len(new), cost_amount=cost, cac=money(ratio(cost, len(new))), value_to_date=value, **ltv,
                ltv_to_date=money(ratio(value, len(new))),
                future_value_per_customer=money(ratio(expected, len(new))), ltv=money(ratio(whole, len(new))),
                ltv_basis="to date" if expected is None else "to date and expected",
                ltv_to_cac=ratio(whole, cost), payback_days=max(0, min(paid_back)) if paid_back else None,
            )  # fmt: skip


def answers(facts: Facts) -> dict[str, list[Row]]:
    """Rows of every table, by its name with its schema."""
    found: dict[str, list[Row]] = defaultdict(list)
    for name in facts.brands():
        for relation, rows in Brand(facts, name).tables.items():
            found[relation] += rows
    return found


def differences(relation: str, expected: list[Row], ask: Callable[[str], list[tuple]]) -> list[str]:
    """Sentences on rows too many and rows missing, and on columns of which the second implementation says nothing."""
    columns = list(expected[0])
    schema, table = relation.split(".")
    names = ask(
        "select column_name from information_schema.columns where table_catalog = current_database()"
        f" and table_schema = '{schema}' and table_name = '{table}'"
    )
    unread = {name for (name,) in names} - {*columns}
    found = Counter(
        tuple(map(plain, row)) for row in ask(f"select {', '.join(columns)} from {relation}")
    )
    wanted = Counter(tuple(plain(row[column]) for column in columns) for row in expected)
    return [
        *(f"{relation} {column}: no oracle" for column in sorted(unread)),
        *(
            f"{relation} too much: {told(columns, row)}"
            for row in sorted((found - wanted), key=str)
        ),
        *(f"{relation} missing: {told(columns, row)}" for row in sorted((wanted - found), key=str)),
    ]


def told(columns: Iterable[str], row: tuple) -> dict:
    return dict(zip(columns, row, strict=True))


def plain(value):
    """Numbers to five digits, days as days."""
    if isinstance(value, dt.datetime):
        return value.date()
    if value is None or isinstance(value, str | bool | dt.date):
        return value
    return round(float(value), 5) + 0.0
