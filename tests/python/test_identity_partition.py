"""The partition of identifiers into customers against an independent one in plain Python and networkx."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise

import pytest
from identity_world import Warehouse

from tests.oracle import identity

LIMIT = 12
DEGREE = 20
ROWS = identity.Edges


def chains(rng: random.Random, name: str) -> ROWS:
    """Long chains, some of them longer than a person can be."""
    edges = []
    for chain in range(30):
        length = rng.choice((2, 3, 5, 9, 12, 13, 40))
        nodes = [(rng.choice(("openid", "unionid")), f"{name}{chain}-{i}") for i in range(length)]
        edges += list(pairwise(nodes))
    return edges


def hubs(rng: random.Random, name: str) -> ROWS:
    """Shops' phones seen with many people, each with some identifiers of their own."""
    edges = []
    for hub in range(4):
        size = rng.choice((8, DEGREE, DEGREE + 1, 40))
        for i in range(size):
            own = ("taobao_id", f"{name}{hub}-{i}")
            edges.append((("phone", f"139{hub:03d}{len(name):05d}"), own))
            if rng.random() < 0.5:
                edges.append((own, ("email", f"{name}{hub}-{i}@x.example")))
    return edges


def cliques(rng: random.Random, name: str) -> ROWS:
    """Everything with everything."""
    edges = []
    for clique in range(12):
        nodes = [("jd_id", f"{name}{clique}-{i}") for i in range(rng.choice((3, 6, 12, 14)))]
        edges += [(a, b) for a in nodes for b in nodes if a < b]
    return edges


def conflicts(rng: random.Random, name: str) -> ROWS:
    """Random sparse graphs with several member ids in each."""
    edges = []
    for graph in range(60):
        nodes = [("member_id", f"{name}{graph}-{i}") for i in range(rng.choice((1, 2, 2, 3)))]
        nodes += [("douyin_id", f"{name}{graph}-{i}") for i in range(rng.randrange(2, 8))]
        edges += [tuple(rng.sample(nodes, 2)) for _ in range(rng.randrange(2, 10))]
    return edges


def devices(rng: random.Random, name: str) -> ROWS:
    """A tablet of many people, which must join none of them."""
    return [
        (("device_id", f"{name}{rng.randrange(4)}"), ("alipay_id", f"{name}{i}")) for i in range(40)
    ]


@pytest.mark.parametrize("guards", [True, False], ids=["guards on", "guards off"])
def test_partition_is_that_of_networkx(tmp_path, guards):
    rng = random.Random(7)
    edges: ROWS = []
    for shape in (chains, hubs, cliques, conflicts, devices):
        edges += shape(rng, shape.__name__[:2])
    lonely = [("card_no", f"lone{i}") for i in range(20)]
    warehouse = Warehouse(tmp_path, {"max_identifiers_per_customer": LIMIT if guards else 10**9})
    rng.shuffle(edges)
    day = "2026-01-05"
    links = [
        {
            "source_system": "crm",
            "left_type": a[0],
            "left_value": a[1],
            "right_type": b[0],
            "right_value": b[1],
            "linked_at": f"{day} 10:00:00",
        }
        for a, b in edges
    ]
    profiles = [
        {
            "source_system": "crm",
            "identifier_type": kind,
            "identifier_value": value,
            "name": "x",
        }
        for kind, value in lonely
    ]
    warehouse.land({("identity_links", day): links, ("profiles", day): profiles})
    warehouse.dbt("seed")
    if not guards:
        warehouse.execute(
            "update reference.identifier_types set max_degree = 1000000, values_per_person = 'many'",
            "delete from reference.identity_blocklist",
        )
    warehouse.dbt("run", "--select", "+int_identity__customer_map")

    groups = defaultdict(set)
    for kind, value, customer in warehouse.rows(
        "select identifier_type, identifier_value, customer_key "
        "from identity.int_identity__customer_map where identifier_type <> 'device_id'"
    ):
        groups[customer].add((kind, value))
    found = {frozenset(group) for group in groups.values()}
    wanted = identity.partition(edges, guards=guards, limit=LIMIT, degree=DEGREE) | {
        frozenset([node]) for node in lonely
    }
    assert found == wanted
