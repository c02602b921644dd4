"""Random histories of landed rows, and what is done to one that fails: it is made smaller, and written down.

A history is a closed circle of people with identifiers and brands of its own, so that many can share one warehouse and
every difference names its history. Its rows know with which delivery they come and with which they are taken away again.
"""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

BASE = datetime(2026, 3, 2)
# Days of one delivery: each history has its own batch day in it.
DAYS = 7
# Stand for the history in the text of a row: its name, and its number where only digits can stand.
TAG, DIGITS = "§", "¶"

COLUMNS = {
    "touchpoints": "event_id source_system brand_id occurred_at event_type channel identifier_type identifier_value"
    " product_id campaign_id content_id staff_id value",
    "orders": "order_id source_system brand_id identifier_type identifier_value ordered_at paid_at status channel"
    " staff_id amount campaign_id",
    "refunds": "refund_id source_system brand_id order_id identifier_type identifier_value refunded_at amount",
    "order_lines": "order_id source_system line_number product_id quantity line_amount",
    "products": "product_id brand_id category name list_price unit_cost launched_on",
    "identity_links": "source_system left_type left_value right_type right_value linked_at",
    "profiles": "source_system identifier_type identifier_value name gender birth_date phone email city updated_at",
    "memberships": "brand_id member_id event occurred_at tier channel staff_id identifier_type identifier_value",
    "campaigns": "campaign_id brand_id name scenario channel starts_on ends_on budget",
    "campaign_costs": "campaign_id date channel impressions clicks cost",
    "messages": "message_id channel campaign_id identifier_type identifier_value sent_at delivered_at opened_at"
    " clicked_at is_control",
    "referrals": "referral_id inviter_type inviter_value invitee_type invitee_value invited_at accepted_at",
    "erasure_requests": "identifier_type identifier_value requested_at",
    # Seeds that a user edits for one person.
    "seed/identity_overrides": "action left_type left_value right_type right_value reason",
    "seed/identity_blocklist": "identifier_type match blocked reason",
}
EVENTS = [
    *("ad_impression", "ad_click", "search_brand", "content_view", "product_view", "product_view"),
    *("live_watch", "store_visit", "login", "register", "follow", "unfollow", "wecom_add"),
    *("wecom_delete", "group_join", "group_leave", "message_in", "interact", "comment", "share"),
    *(
        "favorite",
        "cart_add",
        "cart_remove",
        "coupon_claim",
        "coupon_use",
        "points_redeem",
        "review",
    ),
]
CHANNELS = ["tmall", "jd", "store", "miniprogram", "wecom", "official_account"]


@dataclass(frozen=True)
class Row:
    """A row of a batch: there from delivery `first` until before delivery `last`, or to the end."""

    entity: str
    batch: str
    first: int
    last: int | None
    values: tuple[tuple[str, str], ...]

    def is_there(self, delivery: int) -> bool:
        return self.first <= delivery and (self.last is None or delivery < self.last)

    def changed(self, **values: str) -> tuple[tuple[str, str], ...]:
        return tuple({**dict(self.values), **values}.items())


@dataclass(frozen=True)
class History:
    number: int
    rows: tuple[Row, ...]

    @property
    def tag(self) -> str:
        return f"h{self.number:05d}"

    def text(self, row: Row) -> dict[str, str]:
        """Values of a row as they are landed."""
        digits = f"{self.number:05d}"
        return {
            name: value.replace(TAG, self.tag).replace(DIGITS, digits) for name, value in row.values
        }


def owner(text: str) -> str | None:
    """The history that a value of a table belongs to, if it says so."""
    at = text.find("h")
    while at >= 0:
        if text[at + 1 : at + 6].isdigit() and len(text) >= at + 6:
            return text[at : at + 6]
        at = text.find("h", at + 1)
    return f"h{text[3:8]}" if len(text) == 11 and text.startswith("139") else None


def make(number: int, rng: random.Random, deliveries: int, erasing: Sequence[int]) -> History:
    """A random history that `deliveries` deliveries bring; people ask to be erased with one of `erasing`."""
    return History(number, tuple(_Maker(rng, number, deliveries, erasing).rows))


def known_to_fail(deliveries: int) -> list[History]:
    """Histories that once ended otherwise refreshed than rebuilt. Every world has them, numbered from 90001."""
    last = deliveries - 1

    def row(entity: str, delivery: int, **values: str) -> Row:
        day = BASE + timedelta(days=delivery * DAYS + DAYS - 1)
        return Row(entity, day.strftime("%Y-%m-%d"), delivery, None, tuple(values.items()))

    buyer = {"identifier_type": "member_id", "identifier_value": f"{TAG}-buyer"}
    other = {"identifier_type": "member_id", "identifier_value": f"{TAG}-other"}
    key = {"source_system": "x", "order_id": f"o{TAG}"}
    order = {
        **key,
        "brand_id": f"{TAG}a",
        "ordered_at": "2026-02-20",
        "status": "paid",
        "amount": "10",
        **buyer,
    }
    refund = {**key, "refund_id": f"r{TAG}", "refunded_at": "2026-02-27", "amount": "4", **other}
    met = {
        "source_system": "x",
        "event_id": f"e{TAG}",
        "brand_id": f"{TAG}a",
        "event_type": "login",
        **other,
    }
    met = {**met, "occurred_at": "2026-02-20", "channel": "jd"}
    told = {
        "action": "link",
        "left_type": "member_id",
        "left_value": f"{TAG}-other",
        "reason": "because",
    }
    told = {**told, "right_type": "customer_no", "right_value": f"{TAG}-more"}
    asked = {**other, "requested_at": "2026-02-27"}
    said = {**buyer, "updated_at": "2026-02-20"}
    found = [
        # A refund that names somebody else lands before its order: until then it is that person's.
        (row("refunds", 0, **refund), row("orders", last, **order)),
        # The channel that brought somebody is given another domain (LIGHT_RULES).
        (row("touchpoints", 0, **met),),
        # Of two sources that name a city another one comes first (LIGHT_RULES).
        (
            row("profiles", 0, **said, source_system="crm", city="上海"),
            row("profiles", 0, **said, source_system="pos", city="成都"),
        ),
        # A decision by hand names somebody who asks to be erased.
        (
            row("touchpoints", 0, **met),
            row("seed/identity_overrides", 0, **told),
            row("erasure_requests", last, **asked),
        ),
    ]
    return [History(90_001 + at, rows) for at, rows in enumerate(found)]


class _Maker:
    """Rows of one history. Most histories end before the world does, so that nothing later heals what went wrong."""

    def __init__(
        self, rng: random.Random, number: int, deliveries: int, erasing: Sequence[int]
    ) -> None:
        self.rng, self.rows, self.serial = rng, [], 0
        # One history in three has batches that are delivered again; those of the others must stay as they are, for a
        # new delivery of a batch touches everybody in it.
        self.is_volatile = number % 3 == 0
        self.lane = number % 3 * 2 + (0 if self.is_volatile else rng.randrange(2))
        self.end = rng.choice([deliveries - 1, *range(1, deliveries)])
        self.reach = rng.choice(
            [0, 1, 6, 13, 20, 20, 40, 40, 60, *([400] if number % 12 == 0 else [])]
        )
        self.brands = [f"{TAG}a", f"{TAG}a", f"{TAG}b"] if rng.random() < 0.2 else [f"{TAG}a"]
        if rng.random() < 0.04:
            self.brands.append("")
        self.orders: list[Row] = []
        self.people = [self._identifiers(person) for person in range(rng.choice([1, 1, 2, 2, 3]))]
        self._scenery()
        for _ in range(rng.choice([2, 4, 8, 12, 16, 30])):
            self._something()
        erasing = [delivery for delivery in erasing if delivery <= self.end]
        if erasing and rng.random() < 0.25:
            self._erasure(rng.choice(erasing))

    # Pieces of a row

    def _identifiers(self, person: int) -> list[tuple[str, str]]:
        kinds = ["member_id", "phone", "customer_no", "openid", "email", "device_id", "unionid"]
        chosen = self.rng.sample(kinds, self.rng.choice([1, 2, 3, 4]))
        made = {
            "phone": f"139{DIGITS}{person:03d}",
            "email": f"u{person}@{TAG}.example",
            "openid": f"oa:{TAG}-{person}",
            "device_id": f"dev:{TAG}-{self.rng.randrange(2)}",
        }
        return [(kind, made.get(kind, f"{TAG}-{kind[:2]}{person}")) for kind in chosen]

    def _identifier(self) -> tuple[str, str]:
        return self.rng.choice(self.rng.choice(self.people))

    def _delivery(self) -> int:
        return self.rng.choice([0, self.rng.randint(0, self.end), self.end])

    def _batch(self, delivery: int) -> str:
        """Batch date of a row that this delivery brings: on time, late, or of an earlier batch that comes again."""
        day, chance = BASE + timedelta(days=delivery * DAYS + self.lane), self.rng.random()
        if chance < 0.12:
            # Late: an old batch day on which nothing had come.
            day = BASE - timedelta(days=1 + delivery * DAYS + self.lane)
        elif chance < 0.22 and self.is_volatile and delivery:
            day = BASE + timedelta(days=self.rng.randrange(delivery) * DAYS + self.lane)
        elif chance < 0.3 and delivery == 0:
            return "initial"
        return day.strftime("%Y-%m-%d")

    def _moment(self, batch: str) -> str:
        newest = BASE if batch == "initial" else datetime.fromisoformat(batch)
        at = newest - timedelta(days=self.rng.randint(0, self.reach))
        hour = self.rng.choice([0, 9, 12, 12, 20, 23])
        if self.rng.random() < 0.2:
            return (at + timedelta(hours=hour - 8)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return at.strftime(f"%Y-%m-%d {hour:02d}:00:00")

    def _number(self) -> str:
        self.serial += 1
        return f"{TAG}-{self.serial}"

    def _add(self, entity: str, delivery: int, batch: str, values: dict[str, str]) -> Row:
        row = Row(entity, batch, delivery, None, tuple(values.items()))
        self.rows.append(row)
        return row

    # What can happen

    def _scenery(self) -> None:
        for brand in dict.fromkeys(self.brands):
            if self.rng.random() < 0.6:
                batch = self._batch(0)
                values = {"campaign_id": f"c{brand}", "brand_id": brand, "name": "c", "channel": "sms",
                          "scenario": self.rng.choice(["acquisition", "membership", "promotion"]),
                          "starts_on": "2026-01-01", "ends_on": "2026-12-31", "budget": "100"}  # fmt: skip
                self._fate(self._add("campaigns", self.rng.choice([0, 0, self.end]), batch, values))
                values = {"campaign_id": f"c{brand}", "date": "2026-02-20", "channel": "sms",
                          "impressions": "100", "clicks": "5", "cost": "12.5"}  # fmt: skip
                self._add("campaign_costs", 0, "initial", values)
            for product in ("p1", "p2")[: self.rng.choice([0, 1, 1, 2])]:
                values = {"product_id": f"{TAG}-{product}", "brand_id": brand, "category": product,
                          "name": product, "list_price": "10", "unit_cost": "4"}  # fmt: skip
                self._fate(self._add("products", 0, self._batch(0), values))

    def _something(self) -> None:
        rng, delivery = self.rng, self._delivery()
        batch = self._batch(delivery)
        at, later = self._moment(batch), self._moment(batch)
        kind, value = self._identifier()
        who = {"identifier_type": kind, "identifier_value": value}
        brand = {"brand_id": rng.choice(self.brands)}
        campaign = {"campaign_id": rng.choice(["", f"c{brand['brand_id']}"])}
        staff = {"staff_id": rng.choice(["", "s1", "s2"])}
        entity = rng.choice(
            ["touchpoints"] * 8 + ["orders"] * 5 + ["refunds"] * 3 + ["memberships"] * 2
            + ["identity_links"] * 4 + ["profiles"] * 2 + ["messages"] * 2
            + ["referrals", "order_lines", "seed/identity_overrides", "seed/identity_blocklist"]
        )  # fmt: skip
        values: dict[str, str] = {}
        if entity == "touchpoints":
            event = rng.choice(EVENTS)
            values = {"event_id": f"e{self._number()}", "source_system": "x", **brand, "occurred_at": at,
                      "event_type": event, "channel": rng.choice(CHANNELS), **who, **staff, **campaign,
                      "product_id": f"{TAG}-p1" if event in ("product_view", "cart_add", "favorite") else "",
                      "value": rng.choice(["3", "5"]) if event == "review" else ""}  # fmt: skip
        elif entity == "orders":
            is_anonymous = rng.random() < 0.1
            values = {"order_id": f"o{self._number()}", "source_system": "x", **brand, **({} if is_anonymous else who),
                      "ordered_at": at, "paid_at": rng.choice(["", at]), "channel": rng.choice(CHANNELS), **staff,
                      "status": rng.choice(["paid", "completed", "created", "cancelled", "shipped"]),
                      "amount": rng.choice(["0", "10", "10", "99.5"]), **campaign}  # fmt: skip
        elif entity in ("refunds", "order_lines"):
            # Of an order known by now, of one that comes later, or of none.
            order = dict(rng.choice(self.orders).values)["order_id"] if self.orders else ""
            if entity == "refunds":
                is_named = not order or rng.random() < 0.5
                values = {"refund_id": f"r{self._number()}", "source_system": "x", "order_id": order,
                          "brand_id": rng.choice(["", brand["brand_id"]]), **(who if is_named else {}),
                          "refunded_at": later, "amount": rng.choice(["4", "6", "10", "99.5"])}  # fmt: skip
            elif order:
                values = {"order_id": order, "source_system": "x", "line_number": "1", "quantity": "1",
                          "product_id": f"{TAG}-{rng.choice(['p1', 'p2'])}", "line_amount": "10"}  # fmt: skip
        elif entity == "memberships":
            values = {**brand, "member_id": f"{TAG}-me{rng.randrange(len(self.people))}", "occurred_at": at,
                      "event": rng.choice(["join", "join", "quit", "tier"]), "tier": rng.choice(["silver", "gold"]),
                      "channel": "store", **staff, **(who if rng.random() < 0.7 else {})}  # fmt: skip
        elif entity == "identity_links":
            other = self._identifier()
            values = {"source_system": "x", "left_type": kind, "left_value": value, "right_type": other[0],
                      "right_value": other[1], "linked_at": rng.choice(["", at])}  # fmt: skip
        elif entity == "profiles":
            values = {"source_system": rng.choice(["crm", "pos"]), **who, "name": rng.choice(["张三", "李四", ""]),
                      "gender": rng.choice(["F", "M", ""]), "birth_date": rng.choice(["1990-02-28", ""]),
                      "phone": f"139{DIGITS}{rng.randrange(3):03d}" if rng.random() < 0.4 else "",
                      "email": f"u{rng.randrange(2)}@{TAG}.example" if rng.random() < 0.3 else "",
                      "city": rng.choice(["上海", "成都", ""]), "updated_at": rng.choice(["", at])}  # fmt: skip
        elif entity == "messages":
            values = {"message_id": f"x{self._number()}", "channel": "sms", **campaign, **who, "sent_at": at,
                      "delivered_at": rng.choice(["", at]), "opened_at": rng.choice(["", "", at]),
                      "is_control": rng.choice(["", "false", "true"])}  # fmt: skip
        elif entity == "referrals":
            other = self._identifier()
            values = {"referral_id": f"f{self._number()}", "inviter_type": kind, "inviter_value": value,
                      "invitee_type": other[0], "invitee_value": other[1], "invited_at": at,
                      "accepted_at": rng.choice(["", at])}  # fmt: skip
        elif rng.random() < 0.6:
            self._decision(entity, delivery, (kind, value))
        if values:
            row = self._fate(self._add(entity, delivery, batch, values))
            if entity == "orders":
                self.orders.append(row)

    def _decision(self, entity: str, delivery: int, one: tuple[str, str]) -> None:
        """A user joins or parts two identifiers, or blocks one; and may take it back."""
        kind, value = one
        if entity == "seed/identity_blocklist":
            values = {
                "identifier_type": kind,
                "match": "value",
                "blocked": value,
                "reason": "because",
            }
        else:
            other = self._identifier()
            if other == one:
                return
            values = {"action": self.rng.choice(["link", "split"]), "left_type": kind, "left_value": value,
                      "right_type": other[0], "right_value": other[1], "reason": "because"}  # fmt: skip
        row = self._add(entity, delivery, "", values)
        if self.rng.random() < 0.3 and delivery < self.end:
            self._withdraw(row)

    def _withdraw(self, row: Row) -> int:
        delivery = self.rng.randint(row.first + 1, self.end)
        self.rows[self.rows.index(row)] = replace(row, last=delivery)
        return delivery

    def _fate(self, row: Row) -> Row:
        """What becomes of a landed row later: mostly nothing."""
        rng, chance = self.rng, self.rng.random()
        if row.first >= self.end and chance >= 0.12:
            return row
        if chance < 0.04:  # lands twice at once
            self.rows.append(row)
        elif chance < 0.08:  # cannot be used
            self._add(row.entity, row.first, row.batch, dict(self._broken(row)))
        elif chance < 0.12:  # a version that says something else in an earlier batch
            self._earlier_version(row)
        elif chance < 0.2:  # lands again later, the same or corrected or broken
            values = rng.choice(
                [row.values, self._corrected(row), self._corrected(row), self._broken(row)]
            )
            delivery = rng.randint(row.first + 1, self.end)
            self._fate(self._add(row.entity, delivery, self._batch(delivery), dict(values)))
        elif chance < 0.28 and self.is_volatile:
            self._withdraw(row)
        elif chance < 0.36 and self.is_volatile:  # corrected in place
            delivery = self._withdraw(row)
            self._fate(self._add(row.entity, delivery, row.batch, dict(self._corrected(row))))
        return row

    def _earlier_version(self, row: Row) -> None:
        if row.batch == "initial" or (row.first and not self.is_volatile):
            return
        values = self._corrected(row)
        newest = max((value[:10] for _, value in values if value[:2] == "20"), default="")
        day = datetime.fromisoformat(row.batch) - timedelta(days=DAYS)
        if newest <= f"{day:%Y-%m-%d}":
            self._add(row.entity, row.first, f"{day:%Y-%m-%d}", dict(values))

    def _corrected(self, row: Row) -> tuple[tuple[str, str], ...]:
        """Another version of a row: the same key, something else said."""
        rng, values = self.rng, dict(row.values)
        kind, value = self._identifier()
        moment = self._moment(row.batch)
        choices = [
            {"identifier_type": kind, "identifier_value": value}
            if row.entity != "profiles"
            else {},
            {"brand_id": rng.choice([f"{TAG}a", f"{TAG}b"])} if row.entity != "memberships" else {},
            {"status": rng.choice(["cancelled", "completed", "paid"])},
            {"amount": rng.choice(["5", "50"])},
            {"occurred_at": moment} if row.entity != "memberships" else {"tier": "gold"},
            {"refunded_at": moment},
            {"paid_at": moment},
            {"order_id": dict(rng.choice(self.orders).values)["order_id"]}
            if row.entity == "refunds" and self.orders
            else {},
            {"event_type": rng.choice(EVENTS)},
            {"channel": rng.choice(CHANNELS)},
            {"delivered_at": moment},
            {"accepted_at": moment},
            {"phone": f"139{DIGITS}{rng.randrange(3):03d}"},
            {"category": "p9"},
            {"product_id": f"{TAG}-p2"} if row.entity == "order_lines" else {},
            {"scenario": "growth"},
            {"name": "王五"},
            {"campaign_id": f"c{TAG}a"}
            if row.entity in ("messages", "orders", "touchpoints")
            else {},
        ]
        usable = [change for change in choices if change and change.keys() <= values.keys()]
        return row.changed(**rng.choice(usable)) if usable else row.values

    def _broken(self, row: Row) -> tuple[tuple[str, str], ...]:
        """A version that has to go to quarantine."""
        column = {
            "touchpoints": "occurred_at", "orders": "ordered_at", "refunds": "amount", "memberships": "event",
            "messages": "sent_at", "referrals": "invited_at", "order_lines": "quantity", "products": "list_price",
            "campaigns": "starts_on", "profiles": "birth_date", "identity_links": "linked_at",
        }[row.entity]  # fmt: skip
        return row.changed(**{column: "no such thing"})

    def _erasure(self, delivery: int) -> None:
        kind, value = self._identifier()
        day = BASE + timedelta(days=delivery * DAYS + self.lane)
        values = {
            "identifier_type": kind,
            "identifier_value": value,
            "requested_at": day.strftime("%Y-%m-%d 00:00:00"),
        }
        self._add("erasure_requests", delivery, day.strftime("%Y-%m-%d"), values)


def landing(histories: Iterable[History], delivery: int) -> dict[str, str]:
    """The landing folder as it lies after a delivery: text of every file by its path."""
    rows: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for history in histories:
        for row in history.rows:
            if row.first <= delivery and not row.entity.startswith("seed/"):
                # A batch of which every row is gone stays as an empty file: without the file it would stay loaded.
                batch = rows[row.entity, row.batch]
                if row.is_there(delivery):
                    batch.append(history.text(row))
    files = {}
    for (entity, batch), found in sorted(rows.items()):
        folder = entity if batch == "initial" else f"{entity}/dt={batch}"
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS[entity].split(), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        files[f"{folder}/rows.csv"] = text.getvalue()
    return files


def seed_rows(histories: Iterable[History], delivery: int, seed: str) -> list[list[str]]:
    """Rows of a seed that the histories' users have put there by a delivery."""
    columns = COLUMNS[f"seed/{seed}"].split()
    return [
        [history.text(row)[column] for column in columns]
        for history in histories
        for row in history.rows
        if row.entity == f"seed/{seed}" and row.is_there(delivery)
    ]


def shrink(
    rows: Sequence[Row],
    failing: Callable[[list[tuple[Row, ...]]], list[bool]],
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Row, ...]:
    """Delta debugging: the fewest rows that `failing` still finds to fail; of these none can go by itself.

    `failing` judges many candidates at once, for a round costs one warehouse, however many share it: so each round
    tries parts of every size.
    """
    kept = tuple(rows)
    while len(kept) > 1:
        candidates: list[tuple[Row, ...]] = []
        parts = 2
        while True:
            size = -(-len(kept) // parts)
            pieces = [range(at, min(at + size, len(kept))) for at in range(0, len(kept), size)]
            for piece in pieces:
                candidates.append(tuple(row for at, row in enumerate(kept) if at not in piece))
                if parts > 2:
                    candidates.append(tuple(kept[at] for at in piece))
            if size == 1:
                break
            parts *= 2
        candidates = [one for one in dict.fromkeys(candidates) if one and len(one) < len(kept)]
        verdicts = failing(candidates)
        smaller = [one for one, fails in zip(candidates, verdicts, strict=True) if fails]
        if not smaller:
            break
        # What could go by itself, one by one, mostly can go together: the next round starts from there if so.
        together = tuple(
            row for at, row in enumerate(kept) if kept[:at] + kept[at + 1 :] not in smaller
        )
        if together and len(together) < min(map(len, smaller)) and failing([together])[0]:
            smaller.append(together)
        kept = min(smaller, key=len)
        say(f"{len(kept)} rows still fail")
    return kept


def write_down(history: History, deliveries: int, folder: Path) -> str:
    """The landing folder of one history after each delivery, as folders and as a text that names what changed."""
    lines: list[str] = []
    before: dict[str, str] = {}
    for delivery in range(deliveries):
        now = landing([history], delivery)
        for path, text in now.items():
            target = folder / f"delivery-{delivery}" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        changed = {path: text for path, text in now.items() if before.get(path) != text}
        for path, text in changed.items():
            lines += [
                f"delivery {delivery}: {path}",
                *(f"    {line}" for line in text.splitlines()),
            ]
        lines += [f"delivery {delivery}: {path} is gone" for path in before if path not in now]
        for seed in ("identity_overrides", "identity_blocklist"):
            rows = seed_rows([history], delivery, seed)
            if rows != (seed_rows([history], delivery - 1, seed) if delivery else []):
                lines += [
                    f"delivery {delivery}: seed {seed}",
                    *(f"    {','.join(row)}" for row in rows),
                ]
        before = now
    return "\n".join(lines)
