"""Replay: whatever happens to a landing folder, the refreshed warehouse is the one that the same lake builds from nothing.

QUANYU_REPLAY_HISTORIES (200) histories share a warehouse; QUANYU_REPLAY_SEED (1) draws them. One that differs is made
smaller and printed as a landing folder. `make soak` plays 5 worlds of QUANYU_REPLAY_SOAK (1,000) histories.
"""

from __future__ import annotations

import os

import duckdb
import pytest
from replay_histories import History, Row, landing, owner, shrink
from replay_warehouse import (
    MEMORIES,
    RULES,
    Difference,
    Replay,
    Result,
    Step,
    World,
    explain,
    make_world,
    public_tables,
)

HISTORIES = int(os.environ.get("QUANYU_REPLAY_HISTORIES", "200"))
SEED = int(os.environ.get("QUANYU_REPLAY_SEED", "1"))
SOAK = int(os.environ.get("QUANYU_REPLAY_SOAK", "1000"))


# What the random histories must have brought about, lest the comparison prove nothing.
HAPPENED = """
    select 'erasures', count(*) from audit.erasures
    union all select 'merges', count(*) from identity.fct_identity_merges
    union all select 'refused links', count(*) from identity.identity_refusals
    union all select 'decisions', count(*) from reference.identity_overrides
    union all select 'withdrawn rows', count(*) from staging.base_landing__touchpoints where _fate = 'withdrawn'
    union all select 'late rows', count(*) from staging.base_landing__orders where _batch_date < date '2026-03-01'
    union all select 'duplicates', sum(duplicate_rows) from audit.row_conservation
    union all select 'corrections', sum(superseded_rows) from audit.row_conservation
    union all select 'quarantined rows', sum(quarantined_rows) from audit.row_conservation
    union all select 'erased rows', sum(erased_rows) from audit.row_conservation
"""


def play(root, world: World, compare_after=()) -> None:
    """Play a world; a difference ends in the report of a smallest history."""
    replay = Replay(root / "world", world, compare_after)
    result = replay.play()
    print(
        f"{len(world.histories):,} histories, {len(world.steps)} deliveries, {len(result.tables)} tables,"
        f" {result.rows:,} rows in {result.comparisons} comparisons"
    )
    if result.differences:
        pytest.fail(explain(root, world, result), pytrace=False)
    assert len(result.tables) > 170 and result.rows > 1_000 * len(world.histories)
    # Every public table but what keeps a memory of its own.
    assert len(public_tables()) > 80 and public_tables() - result.tables <= MEMORIES.keys()
    with duckdb.connect(str(replay.database), read_only=True) as warehouse:
        assert [what for what, count in warehouse.execute(HAPPENED).fetchall() if not count] == []


def test_refreshes_of_random_histories_end_in_the_tables_of_a_rebuild(tmp_path):
    world = make_world(SEED, HISTORIES)
    built = [at for at, step in enumerate(world.steps[:-1]) if step.kind in ("build", "again")]
    play(tmp_path, world, compare_after=built[2::2])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(101, 106))
def test_refreshes_of_thousands_of_histories_end_in_the_tables_of_a_rebuild(tmp_path, seed):
    world = make_world(seed, SOAK)
    play(tmp_path, world, compare_after=range(len(world.steps)))


def row(number: int, entity: str = "touchpoints", first: int = 0, **values: str) -> Row:
    values = {"event_id": f"e§-{number}", **values} if entity == "touchpoints" else values
    return Row(entity, "2026-03-02", first, None, tuple(values.items()))


def test_rows_are_left_out_until_none_can_go():
    rows, rounds = [row(number) for number in range(40)], []

    def failing(candidates):
        rounds.append(len(candidates))
        return [{rows[3], rows[17], rows[22]} <= {*one} for one in candidates]

    assert shrink(rows, failing) == (rows[3], rows[17], rows[22])
    assert len(rounds) < 10


def test_a_history_that_fails_as_a_whole_stays_whole():
    rows = [row(number) for number in range(5)]
    assert shrink(rows, lambda candidates: [len(one) == 5 for one in candidates]) == tuple(rows)


class LateRefunds(Replay):
    """Stands for a warehouse that overlooks a refund that comes a delivery after its order."""

    is_about_rules = False

    def play(self) -> Result:
        found = []
        for history in self.world.histories:
            texts = [(one.entity, one.first, history.text(one)) for one in history.rows]
            orders = {
                text["order_id"]: first for entity, first, text in texts if entity == "orders"
            }
            late = [text for entity, first, text in texts
                    if entity == "refunds" and first > orders.get(text["order_id"], 99)]  # fmt: skip
            if late and (not self.is_about_rules or any(step.rules for step in self.world.steps)):
                values = [tuple(late[0].values())]
                found.append(
                    Difference("lifecycle.fct_refunds", 4, ["refund_id"], [], values, {history.tag})
                )
        return Result(found)


class LateRefundsAfterRules(LateRefunds):
    is_about_rules = True


@pytest.mark.parametrize("broken, deliveries", [(LateRefunds, 2), (LateRefundsAfterRules, 3)])
def test_a_history_that_differs_is_printed_as_the_landing_folder_of_its_smallest_form(
    tmp_path, broken, deliveries
):
    rows = [row(number, first=number % 4) for number in range(30)]
    rows.insert(4, row(0, "orders", 0, order_id="o§", amount="10"))
    rows.insert(20, row(0, "refunds", 2, refund_id="r§", order_id="o§", amount="10"))
    steps = (Step("again"), Step(rules=RULES[:1]), Step(), Step("skipped"), Step())
    world = World(steps, (History(7, (rows[0],)), History(8, tuple(rows))))
    said = explain(tmp_path, world, broken(tmp_path, world).play(), broken)
    assert "1 of 2 histories differ: h00008" in said
    assert "2 of 32 rows of h00008" in said
    assert "delivery 0: orders/dt=2026-03-02/rows.csv" in said and "rh00001" in said
    assert "touchpoints" not in said and "skipped" not in said
    # Nothing is left but the deliveries of the order, of the refund, and of the rules where they play a part.
    files = tmp_path / "failing" / f"delivery-{deliveries - 1}"
    refund = files / "refunds" / "dt=2026-03-02" / "rows.csv"
    assert refund.read_text(encoding="utf-8").splitlines()[1].startswith("rh00001")
    assert len([*(tmp_path / "failing").glob("delivery-*")]) == deliveries


def test_a_batch_whose_rows_are_all_withdrawn_stays_as_an_empty_file():
    gone = Row("touchpoints", "2026-03-02", 0, 1, (("event_id", "e§"),))
    before, after = (landing([History(1, (gone,))], delivery) for delivery in (0, 1))
    assert [len(text.splitlines()) for text in (*before.values(), *after.values())] == [2, 1]
    assert before.keys() == after.keys()


def test_values_say_which_history_they_belong_to():
    history = History(42, (row(1, brand_id="§a", identifier_value="139¶000"),))
    assert {owner(value) for value in history.text(history.rows[0]).values()} == {"h00042"}
    assert owner("2026-03-02 10:00:00") is None and owner("other") is None


def test_a_seed_draws_the_same_world_again():
    assert make_world(3, 20) == make_world(3, 20) != make_world(4, 20)
