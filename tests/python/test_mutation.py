"""A sample of the mutation suite (tests/mutation, docs/mutation.md): `make mutation` is the whole of it."""

from __future__ import annotations

import pytest
from compiled import Warehouse

from tests.mutation import made_up, seeds
from tests.mutation.operators import OPERATORS, mutants, parsed, written
from tests.mutation.runner import Run, chosen, explanations, main, rate, record, summary
from tests.mutation.worlds import Check, World

SQL = """
    with bought as (
        select distinct o.customer_key, o.day, coalesce(o.amount, 0) as amount, row_number() over (
            partition by o.customer_key order by o.day desc) as n
        from warehouse.lifecycle.orders as o left join warehouse.lifecycle.people as p on o.customer_key = p.customer_key
            and p.is_known and o.day > 30
        where not exists (select 1 from warehouse.lifecycle.refunds as r where r.customer_key = o.customer_key)
            and o.kind = 'paid' and o.day >= 7 and (o.amount is null or o.amount * 2 > 3)
    )
    select customer_key, case when n > 3 then 'often' when n > 1 then 'again' else 'once' end as how, max(amount) as amount
    from bought group by all
"""


MARTS = ["attribution", "product_performance"]


def test_every_operator_changes_one_thing_and_ids_do_not_depend_on_other_places():
    found = mutants("m", SQL)
    assert {m.operator for m in found} == set(OPERATORS)
    original = written(parsed(SQL))
    texts = [m.sql() for m in found]
    assert original not in texts and len(set(texts)) > 0.95 * len(texts)
    assert written(parsed(SQL)) == original
    said = "\n".join(f"{m.operator}: {m.change}" for m in found)
    for change in ("o.day > 7", "o.day >= 8", "SELECT o.customer_key", "INNER JOIN", "MIN(amount)"):
        assert change in said, change
    elsewhere = mutants("m", SQL.replace("max(amount)", "sum(amount)"))
    kept = {m.id for m in found} & {m.id for m in elsewhere}
    assert len(kept) > 0.9 * len(found)


def test_a_verdict_is_that_of_the_checks_and_leaves_the_world_as_it_was():
    warehouse = Warehouse()
    warehouse.table("lifecycle.days", "select unnest([1, 2, 3]) as day")
    models = {
        "kept": ("lifecycle.kept", "select day from warehouse.lifecycle.days where day > 1"),
        "counted": ("marts.counted", "select count(*) as n from warehouse.lifecycle.kept"),
    }
    world = World("three days", warehouse.connection, models)
    counted = Check(
        "the count", {"marts.counted"}, lambda: world.ask("from marts.counted") != [(2,)]
    )
    world.checks.append(counted)
    world.ready()
    found = {m.change: world.verdict(m) for m in mutants("kept", models["kept"][1])}
    by_end = {change.split("→")[1].strip(): verdict.status for change, verdict in found.items()}
    assert by_end == {
        "WHERE day >= 1": "killed",
        "WHERE day > 2": "killed",
        "WHERE day > 0": "killed",
        "": "killed",
    }
    assert world.ask("from marts.counted") == [(2,)]
    # Where nothing asks, everything survives.
    world.checks.clear()
    assert {world.verdict(m).status for m in mutants("kept", models["kept"][1])} == {"survived"}
    # A fact from which answers were taken must not change with the mutant.
    world.checks.append(Check("the count", {"marts.counted"}, counted.failing, {"lifecycle.kept"}))
    assert {world.verdict(m).status for m in mutants("kept", models["kept"][1])} == {"survived"}


def test_a_sample_of_mutants_is_killed(tmp_path):
    """Two mutants of every mart and intermediate model of STAR and campaigns, judged by their second implementation on
    random histories: a model of which none is killed is one that nothing looks at."""
    run = Run([], tmp_path, print)
    run.worlds = list(made_up.star_worlds(tmp_path, pairs=10))
    sample = [
        model
        for model in run.models()
        if model.startswith(("star_", "int_star__", "int_campaigns__")) or model in MARTS
    ]
    explained = explanations()
    records = [record(*judged) for judged in run.judge(sample, 2)]
    counts = summary(records, explained)
    alive = [r for r in records if r["status"] == "survived" and r["id"] not in explained]
    assert counts["tried"] >= 30 and rate(counts) >= 0.9, (counts, alive)
    killed = {r["model"] for r in records if r["status"] == "killed"}
    assert killed == set(sample), set(sample) - killed


def test_explanations_are_of_one_of_two_kinds_and_say_why():
    for id_, said in explanations().items():
        assert said["is"] in ("equivalent", "accepted") and len(said["why"]) > 20, id_
        assert id_.split(":")[1] in OPERATORS | seeds.OPERATORS, id_


@pytest.mark.parametrize("seed", seeds.RULES)
def test_a_mutant_of_a_seed_changes_one_row_or_two_and_no_two_are_the_same(seed):
    warehouse = Warehouse()
    warehouse.seed(seed)
    query = f"select * from reference.{seed} order by all"
    before, seen = warehouse.rows(query), set()
    for mutant in seeds.seed_mutants(seed):
        warehouse.connection.execute("begin")
        for statement in mutant.statements:
            warehouse.connection.execute(statement)
        after = warehouse.rows(query)
        warehouse.connection.execute("rollback")
        changed = set(map(str, before)) ^ set(map(str, after))
        assert 1 <= len(changed) <= 4, (mutant, changed)
        seen.add(str(after))
    assert len(seen) == len(seeds.seed_mutants(seed)) > 5
    assert warehouse.rows(query) == before


def test_a_window_of_a_day_a_split_group_and_swapped_ranks_are_among_the_mutants_of_the_rules():
    said = {f"{m.place}: {m.change}" for seed in seeds.RULES for m in seeds.seed_mutants(seed)}
    assert {
        "aipl A 1 1: window_days 15 → 16",
        "aipl L 1 1: min_value 2 → 1",
        "aipl L 2 2: rule_group 2 → one of its own",
        "aipl I: rank 2 ↔ 3",
        "positive_review touchpoint review: value_from 4 → 3",
        "any_relationship relationship follower: left out",
        "fixed * recency 3: bound 30 → 31",
        "111: rfm_class 重要价值客户 ↔ 重要保持客户",
        "tmall: domain public → offline",
    } <= said


def test_the_same_mutants_are_chosen_each_time_and_operators_take_turns():
    every = mutants("m", SQL)
    few = chosen(every, 12)
    assert few == chosen(every[::-1], 12) and len({m.operator for m in few}) == 12


@pytest.mark.parametrize("sql", ["select map.a from t as map", "select map['a'] from t"])
def test_a_table_called_map_is_no_map(sql):
    assert written(parsed(sql)).lower().startswith("select map")


def test_a_group_that_does_not_start_is_named_when_the_others_are_judged(tmp_path):
    with pytest.raises(SystemExit, match="no_such_group"):
        main(["no_such_group"], [], 1, 1, tmp_path / "kept.json", None)
