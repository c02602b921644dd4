"""The planted truth of a world as tables: who is who, and which stage held on which day."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import identifiers as ids
from demo import stages
from demo import vocabulary as v
from demo.landing import order_ids
from demo.people import TYPES
from demo.pieces import Pieces
from demo.rows import Behaviour
from demo.text import words

_BRAND_IDS = [row.brand_id for row in v.BRANDS]
STAGE_PEOPLE = 500


def people_table(done: Behaviour, pieces: Pieces) -> pa.Table:
    """One row per person.

    `is_exact`: no trap touches the person, so the warehouse should resolve the person exactly;
    `is_anonymous`: piece 0 holds only devices and cookies.
    """
    people = done.people
    erased = done.table("erasure_requests")
    erased_day = np.full(people.n, -1)
    erased_day[erased["person"] - people.first] = erased["t"] // 86_400
    main = pieces.piece == 0
    strong = [kind for kind in range(ids.PERSONAL_KINDS) if kind not in ids.WEAK_KINDS]
    anonymous = ~main[:, strong].any(axis=1)
    is_exact = ~people.is_recycled & ~people.shares_device & (erased_day < 0) & ~anonymous
    return pa.table(
        {
            "person_id": people.person,
            "latent_type": words(TYPES, people.kind),
            "brand_id": words(_BRAND_IDS, people.brand),
            "second_brand_id": words(_BRAND_IDS, people.second_brand),
            "household_id": people.household,
            "first_day": people.world.clock.dates(people.begins),
            "last_day": people.world.clock.dates(people.ends - 1),
            "erased_on": pc.if_else(
                pa.array(erased_day >= 0), people.world.clock.dates(erased_day), None
            ),
            "has_recycled_phone": people.is_recycled,
            "has_shared_device": people.shares_device,
            "is_anonymous": anonymous,
            "is_exact": is_exact,
        }
    )


def identifiers_table(done: Behaviour, pieces: Pieces) -> pa.Table:
    """One row per landed form of an identifier and person; traps have no person.

    `is_linkable` means piece 0: events under this identifier count for the person.
    """
    people = done.people
    who, kind, surface = pieces.seen.T
    owner = people.owner[who, kind]
    piece = pieces.piece[who, kind]
    recycled = people.is_recycled[who] & (kind == ids.PHONE)
    shared = people.shares_device[who] & (kind == ids.DEVICE)
    trap_kind, trap_owner, trap_surface = pieces.traps.T
    t = len(trap_kind)
    kind, owner = np.append(kind, trap_kind), np.append(owner, trap_owner)
    surface = np.append(surface, trap_surface)
    why = np.select([recycled, shared], [0, 1], -1)
    hub = np.where(trap_kind == ids.TEST_MEMBER, 4, np.where(trap_owner == ids.HUB, 2, 3))
    reasons = ["recycled_phone", "shared_device", "hub_phone", "shop_phone", "test_account"]
    is_trap = np.append(recycled, np.ones(t, dtype=bool))
    seed = people.world.seed
    normal = np.zeros(len(kind), dtype=np.int8)
    person = np.append(people.person[who], np.full(t, -1))
    piece = np.append(piece, np.full(t, -1))
    is_phone = ids.KIND_TYPE[kind] == v.IDENTIFIER_TYPES.index("phone")
    return pa.table(
        {
            "identifier_type": ids.types(kind),
            "kind": words([name for name, _ in ids.KINDS], kind),
            "identifier_value": ids.values(kind, owner, surface, seed),
            "normalised_value": ids.values(kind, owner, normal, seed),
            "surface": words(ids.SURFACES, np.where(is_phone, surface, 0)),
            "person_id": pa.array(person, mask=person < 0),
            "piece": pa.array(piece, mask=piece < 0),
            "is_linkable": piece == 0,
            "is_trap": is_trap,
            "trap": words(reasons, np.append(why, hub)),
        }
    )


def orders_table(done: Behaviour, pieces: Pieces) -> pa.Table:
    """One row per order with its last landed status; `counts` says whether it has a person."""
    people = done.people
    final = done.table("orders")
    final = final[final["final"]]
    final = final[np.argsort(final["order"])]
    counts = _counts(final, people.first, pieces)
    amount = final["amount"]
    return pa.table(
        {
            "order_id": order_ids(final["order"], final["source"]),
            "source_system": words([name for name, _ in v.SOURCES], final["source"]),
            "brand_id": words(_BRAND_IDS, final["brand"]),
            "person_id": pa.array(final["person"], mask=final["person"] < 0),
            "counts": counts,
            "status": words(v.ORDER_STATUSES, final["status"]),
            "amount_cents": amount,
        }
    )


def _counts(rows: np.ndarray, first: int, pieces: Pieces) -> np.ndarray:
    """Whether each row is logged under an identifier in its person's piece 0: bool (n,)."""
    who = np.maximum(rows["person"] - first, 0)
    kind = rows["kind"].astype(int)
    personal = (kind >= 0) & (kind < ids.PERSONAL_KINDS) & (rows["person"] >= 0)
    return personal & pieces.counts[who, np.where(personal, kind, 0)]


def facts_of(done: Behaviour, pieces: Pieces, wanted: np.ndarray) -> dict:
    """Plain facts by (person, brand) for the wanted people (positions in the slice)."""
    people = done.people
    first = people.first
    numbers = people.person[wanted]
    facts: dict[tuple[int, int], stages.Facts] = defaultdict(stages.Facts)

    def mine(entity: str) -> np.ndarray:
        table = done.table(entity)
        table = table[np.isin(table["person"], numbers)]
        return table[np.argsort(table["t"], kind="stable")]

    def whose(row) -> tuple[int, int]:
        return int(row["person"]), int(row["brand"])

    touches = mine("touchpoints")
    for row in touches[_counts(touches, first, pieces)]:
        event = v.EVENT_TYPES[row["event"]]
        t = int(row["t"])
        facts[whose(row)].events.append((t, event, int(row["value"])))
        if event in stages.STARTS or event in stages.ENDS:
            which = {"f": row["channel"], "u": row["channel"], "w": row["staff"]}
            one = which.get(event[0], row["content"])
            facts[whose(row)].relations.append((t, event, int(one)))
    for row in mine("memberships"):
        event = v.MEMBERSHIP_EVENTS[row["event"]]
        if event != "tier":
            facts[whose(row)].relations.append((int(row["t"]), event, "member"))
    refunds = defaultdict(list)
    for row in mine("refunds"):
        if row["order"] >= 0:
            refunds[int(row["order"])].append((int(row["t"]) // 86_400, int(row["amount"])))
    orders = mine("orders")
    valid = orders["final"] & np.isin(orders["status"], (1, 2, 3)) & (orders["amount"] > 0)
    for row in orders[valid & _counts(orders, first, pieces)]:
        day = int(row["paid"] if row["paid"] >= 0 else row["t"]) // 86_400
        back = refunds.get(int(row["order"]), [])
        facts[whose(row)].orders.append((day, int(row["amount"]), back))
    return facts


def stage_tables(done: Behaviour, pieces: Pieces) -> dict[str, pa.Table]:
    """Stage spells of the first people: tables `aipl_daily` and `lifecycle_daily`.

    Spells are half-open and end with the world; `is_open` marks those which hold on its last day.
    People who asked to be erased, anonymous ones and holders of a recycled phone are left out.
    """
    people = done.people
    table = people_table(done, pieces).slice(0, STAGE_PEOPLE)
    exact = table["is_exact"].to_numpy(zero_copy_only=False)
    out = np.zeros(table.num_rows, dtype=bool)
    for name in ("has_recycled_phone", "is_anonymous"):
        out |= table[name].to_numpy(zero_copy_only=False)
    out |= table["erased_on"].is_valid().to_numpy(zero_copy_only=False)
    facts = facts_of(done, pieces, np.flatnonzero(~out))
    tables = {}
    for name, rule in (("aipl_daily", stages.aipl), ("lifecycle_daily", stages.lifecycle)):
        rows = []
        for (person, brand), known in sorted(facts.items()):
            first = known.first_day()
            days = range(first, people.world.days)
            for stage, since, until, is_open in stages.spells_of(rule(known, days), first):
                rows.append(
                    {
                        "person_id": person,
                        "brand_id": _BRAND_IDS[brand],
                        "stage": stage,
                        "valid_from": people.world.date(since),
                        "valid_to": people.world.date(until),
                        "is_open": is_open,
                        "is_exact": bool(exact[person - people.first]),
                    }
                )
        schema = pa.schema(
            [
                ("person_id", pa.int64()),
                ("brand_id", pa.string()),
                ("stage", pa.string()),
                ("valid_from", pa.date32()),
                ("valid_to", pa.date32()),
                ("is_open", pa.bool_()),
                ("is_exact", pa.bool_()),
            ]
        )
        tables[name] = pa.Table.from_pylist(rows, schema)
    return tables
