"""Erasure: after a request nothing of the person is left anywhere but in the landing folder, and later files cannot
bring them back."""

from __future__ import annotations

import hashlib
import re
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest
from compiled import compiled
from support import ask
from test_serving import small_warehouse

from orchestration import erasure
from orchestration.contract import load_contract
from orchestration.exports import ExportError
from orchestration.intake import Verdict, admit, prepare
from orchestration.job import Settings, export_audience, finish_erasures, list_erased
from orchestration.serving import current, current_manifest, publish, rollback
from orchestration.serving import erase as erase_versions
from orchestration.warehouse import Dbt

# All that keeps state or is read by erasure; of the marts, which keep none, what published figures are made of.
MODELS = (
    *(
        "+dim_customers",
        "+identity_evidence",
        "+fct_identity_merges",
        "+bridge_customer_identifiers",
    ),
    *("+fct_orders", "+fct_touchpoints", "+fct_relationship_spells", "+fct_consent_spells"),
    *("+quarantine", "+row_conservation", "erasures", "erasure_proof", "+restatements"),
)

FIRST = {
    # Of the rows about the shared device one is of his time; the others are still in contest with each other.
    "profiles/p.csv": """\
source_system,identifier_type,identifier_value,name,phone,email,updated_at
crm,member_id,M1,王小明,13911112222,xiaoming@example.com,2026-01-01 10:00:00
crm,member_id,M2,李雷雷,13933334444,leilei@example.com,2026-01-01 10:00:00
crm,member_id,M3,韩梅梅,13955556666,meimei@example.com,2026-01-01 10:00:00
crm,member_id,M5,,139 1111 2222,,no time
crm,device_id,SHARED,甲,,,2026-01-03 10:00:00
crm,device_id,SHARED,乙,,,2026-01-13 10:00:00
crm,device_id,SHARED,丙,,,2026-01-14 10:00:00
""",
    # One order twice, one whose amount is none, one line that cannot be split.
    "orders/o.csv": """\
order_id,source_system,identifier_type,identifier_value,ordered_at,paid_at,status,amount
O1,shop,phone,+86 139 1111 2222,2026-01-02 10:00:00,2026-01-02 10:00:00,paid,100
O1,shop,phone,139-1111-2222,2026-01-02 10:00:00,2026-01-02 10:00:00,completed,100
O2,shop,member_id,M2,2026-01-02 10:00:00,2026-01-02 10:00:00,paid,50
O3,shop,phone,13911112222,2026-01-02 10:00:00,,paid,notanumber
O4,shop,phone,13911112222,2026-01-02 10:00:00,2026-01-02 10:00:00,paid,5,one field too many
O9,shop,member_id,M3,2026-01-02 10:00:00,2026-01-02 10:00:00,paid,9
O10,shop,phone,$MD5,2026-01-02 10:00:00,2026-01-02 10:00:00,paid,11
""".replace("$MD5", hashlib.md5(b"13977778888").hexdigest()),
    "touchpoints/t.csv": """\
event_id,source_system,occurred_at,event_type,channel,identifier_type,identifier_value
E1,app,2026-01-03 10:00:00,login,app,device_id,SHARED
E2,app,2026-01-13 10:00:00,login,app,device_id,SHARED
E3,app,2026-01-03 10:00:00,follow,official_account,member_id,M1
E4,app,2026-01-03 10:00:00,follow,official_account,member_id,M2
E5,app,2026-01-03 11:00:00,login,app,device_id,OWN
E6,app,2026-01-03 11:00:00,login,app,member_id,M3
""",
    "identity_links/l.csv": """\
source_system,left_type,left_value,right_type,right_value,linked_at
app,member_id,M1,device_id,SHARED,2026-01-01 00:00:00
app,member_id,M2,device_id,SHARED,2026-01-10 00:00:00
app,member_id,M1,device_id,OWN,2026-01-01 00:00:00
""",
    "memberships/m.csv": """\
brand_id,member_id,event,occurred_at
default,M1,join,2026-01-01 10:00:00
default,M2,join,2026-01-01 10:00:00
default,M3,join,2026-01-01 10:00:00
""",
    "erasure_requests/dt=2026-02-01/e.csv": """\
identifier_type,identifier_value,requested_at
email,XiaoMing@example.com,2026-01-31 10:00:00
phone,$MD5,2026-01-31 10:00:00
""".replace("$MD5", hashlib.md5(b"13977778888").hexdigest()),
}
LATE = {
    # zzz1 was his before he asked; zzz9 is whoever has the number since. M2 has a member id of his own.
    "identity_links/dt=2026-02-03/l.csv": """\
source_system,left_type,left_value,right_type,right_value,linked_at
app,phone,13911112222,openid,oa:zzz1,2026-01-20 00:00:00
app,phone,13911112222,openid,oa:zzz9,2026-02-02 00:00:00
app,phone,13911112222,member_id,M2,2026-01-20 00:00:00
""",
    "orders/dt=2026-02-03/o.csv": """\
order_id,source_system,identifier_type,identifier_value,ordered_at,paid_at,status,amount
O5,shop,openid,oa:zzz1,2026-01-12 10:00:00,2026-01-12 10:00:00,paid,70
O6,shop,phone,86 13911112222,2026-01-13 10:00:00,2026-01-13 10:00:00,paid,71
O7,shop,openid,oa:zzz9,2026-01-13 10:00:00,2026-01-13 10:00:00,paid,72
O8,shop,phone,13911112222,at noon,,paid,73
O11,shop,phone,139 7777 8888,2026-02-02 10:00:00,2026-02-02 10:00:00,paid,12
""",
    # The second person is known from an earlier refresh.
    "erasure_requests/dt=2026-02-03/e.csv": """\
identifier_type,identifier_value,requested_at
member_id,M3,2026-02-02 10:00:00
""",
}
# Of a third one only a hash was known when they asked.
IT = (hashlib.md5(b"13977778888").hexdigest(), "13977778888", "139 7777 8888")
HIM = ("13911112222", "139-1111-2222", "139 1111 2222", "王小明", "xiaoming", "XiaoMing", "OWN")
HER = ("13955556666", "韩梅梅", "meimei")


def land(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def refresh(root: Path, *, full_refresh: bool = False) -> Path:
    """The daily job without gate, tests, marts and publication."""
    workspace = root / "workspace"
    chosen = Settings(
        root / "landing", workspace, workspace / "warehouse.duckdb", full_refresh=full_refresh
    )
    with prepare(chosen.landing, workspace, load_contract(), say=lambda line: None) as prepared:
        admit(prepared, {batch.key: Verdict() for batch in prepared.batches}, workspace)
    list_erased(chosen, print)
    chosen.dbt.build(print, full_refresh=full_refresh, select=MODELS)
    finish_erasures(chosen, print)
    return workspace


def mentions(workspace: Path, needles: tuple[str, ...]) -> list[tuple[str, str]]:
    """Files of the workspace whose bytes, or whose rows if they are Parquet, hold one of the texts."""
    found = []
    for path in sorted(path for path in workspace.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            rows = duckdb.sql(f"from read_parquet('{path}', hive_partitioning = false)").fetchall()
            content += repr(rows).encode()
        found += [(path.name, needle) for needle in needles if needle.encode() in content]
    return found


def all_rows(workspace: Path) -> dict[str, list[tuple]]:
    """Rows of every table but the numbers of refreshes, which a rebuild gives anew."""
    passing = {"_refresh", "_settings", "as_of_date", "since_refresh", "carried_out_at"}
    rows = {}
    for schema, name in ask(
        workspace,
        "select schema_name, table_name from duckdb_tables() where schema_name in ('staging', 'identity',"
        " 'lifecycle') or table_name in ('quarantine', 'row_conservation') order by all",
    ):
        columns = ask(workspace, f"describe {schema}.{name}")
        kept = ", ".join(f'"{column[0]}"' for column in columns if column[0] not in passing)
        rows[name] = sorted(ask(workspace, f"select {kept} from {schema}.{name}"), key=repr)
    return rows


@pytest.fixture(scope="module")
def histories(tmp_path_factory, monkeypatch_module) -> Path:
    """Three persons, one of whom asks at once, then late files and another request. Blocks are wiped at once."""
    root = tmp_path_factory.mktemp("erasure")
    monkeypatch_module.setenv("QUANYU_WIPE_AFTER_DAYS", "0")
    land(root, FIRST)
    monkeypatch_module.setattr(Dbt, "build", only_models(Dbt.build, root / "again.txt"))
    workspace = refresh(root)
    first = mentions(workspace, HIM + IT)
    land(root, LATE)
    refresh(root)
    (root / "first.txt").write_text(repr(first))
    return root


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def only_models(build, again: Path):
    """A build that an erasure asks for again builds what this test looks at, not the marts; it leaves a line in `again`."""
    again.touch()

    def chosen(self, say, *, full_refresh=False, select=()):
        if not select:
            again.write_text(again.read_text() + "again\n")
        return build(self, say, full_refresh=full_refresh, select=select or MODELS)

    return chosen


def test_nothing_of_the_erased_is_left_in_any_byte_of_the_workspace(histories):
    assert (histories / "first.txt").read_text() == "[]"
    assert mentions(histories / "workspace", HIM + HER + IT) == []
    assert mentions(histories / "workspace", ("13933334444", "李雷雷"))  # the search would find


def test_money_stays_and_is_nobodys_while_others_keep_what_is_theirs(histories):
    orders = ask(
        histories / "workspace",
        "select order_id, is_anonymous, cast(paid_amount as integer) from lifecycle.fct_orders order by 1",
    )
    assert orders == [
        *[
            ("O1", True, 100),
            ("O10", True, 11),
            ("O11", True, 12),
            ("O2", False, 50),
            ("O5", True, 70),
        ],
        *[("O6", True, 71), ("O7", False, 72), ("O9", True, 9)],
    ]
    # The shared device counts for the erased person's time no more, and is not handed to the other one.
    events = ask(
        histories / "workspace", "select event_id from lifecycle.fct_touchpoints order by 1"
    )
    assert events == [("E2",), ("E4",)]


def test_a_late_link_names_further_ids_only_of_the_past_and_only_of_nobody_else(histories):
    names = ask(
        histories / "workspace",
        "select identifier_type, identifier_value from identity.bridge_customer_identifiers order by all",
    )
    assert names == [
        ("device_id", "SHARED"),
        ("email", "leilei@example.com"),
        ("member_id", "M2"),
        ("openid", "oa:zzz9"),
        ("phone", "13933334444"),
    ]
    causes = ask(
        histories / "workspace", "select cause, customers from audit.erasures order by 1, 2"
    )
    assert causes == [
        *[("late link", 1), ("plain value of a hash", 0)],
        *[("request", 1), ("request", 1), ("request", 1)],
    ]


def test_late_links_are_followed_before_everything_is_built_not_by_a_second_build(histories):
    assert (histories / "again.txt").read_text() == ""


def test_no_row_is_lost_and_every_erased_one_is_counted(histories):
    rows = ask(
        histories / "workspace",
        "select entity, batch, landed_rows, accepted_rows, duplicate_rows, superseded_rows, quarantined_rows,"
        " erased_rows from audit.row_conservation order by 1, 2",
    )
    assert all(row[2] == sum(row[3:]) for row in rows)
    erased = {row[:2]: row[7] for row in rows if row[7]}
    assert erased == {
        ("erasure_requests", "dt=2026-02-01"): 2,
        ("erasure_requests", "dt=2026-02-03"): 1,
        ("identity_links", "dt=2026-02-03"): 3,
        ("identity_links", "initial"): 2,
        ("memberships", "initial"): 2,
        ("orders", "dt=2026-02-03"): 1,
        ("orders", "initial"): 2,
        ("profiles", "initial"): 4,
        ("touchpoints", "initial"): 4,
    }


def test_the_proof_names_every_place_and_whose_landing_files_are(histories):
    proof = ask(
        histories / "workspace",
        "select run_number, place_kind, place, rows_found, rows_left from audit.erasure_proof",
    )
    assert {row[0] for row in proof} == {1, 2}
    assert all(left == 0 for _, kind, _, _, left in proof if kind != "landing")
    yours = {place for run, kind, place, _, _ in proof if kind == "landing" and run == 2}
    assert yours == {*FIRST, *LATE}
    assert [(run, place) for run, kind, place, _, _ in proof if kind == "file"] == [
        (1, "warehouse.duckdb"),
        (2, "warehouse.duckdb"),
    ]
    places = {place for _, kind, place, found, _ in proof if kind == "table" and found}
    assert {"identity.int_identity__identifiers", "audit.quarantine: orders"} <= places


def test_rows_are_never_compared_with_every_listed_identifier(warehouse, tmp_path):
    """DuckDB turns a hash in the condition of a join, or an `or` there, into a loop over all pairs: an hour at ten million
    rows of which two thousand people want to be forgotten."""
    (tmp_path / "lake").symlink_to(warehouse / "lake")
    shutil.copy(warehouse / "warehouse.duckdb", tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("update audit.suppressed_identifiers set since_refresh = 1000")
    models = [f"base_landing__{entity}" for entity in load_contract()]
    sql = compiled(tmp_path, models)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        for name in models:
            ((_, plan),) = connection.execute(f"explain (format json) {sql[name]}").fetchall()
            slow = re.findall("CROSS_PRODUCT|BLOCKWISE_NL_JOIN|NESTED_LOOP_JOIN", plan)
            assert (name, slow) == (name, [])
    assert "suppressed_key" in sql["base_landing__touchpoints"]


def test_the_next_refresh_takes_nobody_for_vanished(histories):
    """Rows that an erasure deletes were followed: were they counted, everything known would be compared again."""
    counted = ask(
        histories / "workspace", "select entity, landed_rows from audit.identity_inputs order by 1"
    )
    there = [
        (
            entity,
            ask(histories / "workspace", f"select count(*) from staging.base_landing__{entity}")[0][
                0
            ],
        )
        for entity, _ in counted
    ]
    assert counted == there


def test_the_ledgers_hold_salted_hashes_and_another_salt_is_refused(histories, monkeypatch):
    workspace = histories / "workspace"
    erasure.check_salt(workspace)
    monkeypatch.setenv("QUANYU_SALT", "another one")
    with pytest.raises(erasure.ErasureError, match="set the former salt"):
        erasure.check_salt(workspace)


def test_a_published_figure_that_an_erasure_moves_says_so(histories):
    """M3 became a member on the first and ordered on the second; the report that counted her was published before she asked."""
    found = ask(
        histories / "workspace",
        """select metric, cast(as_of_date as varchar), cause, cast(change as integer), cast(new_figure - old_figure as integer)
        from audit.restatements order by all""",
    )
    assert ("advancing_base", "2026-01-08", "people erased", -1, -1) in found
    assert {cause for *_, cause, _, _ in found} <= {
        "people erased",
        "rows changed",
        "identity changed",
    }


def test_after_an_erasure_what_it_touched_is_built_again_the_rest_left_alone_and_no_row_is_another(
    histories,
):
    workspace = histories / "workspace"
    chosen = Settings(histories / "landing", workspace, workspace / "warehouse.duckdb")
    known = {node for (node,) in ask(workspace, "select node from audit.built")}
    assert {f"model.quanyu.{name}" for name in ("fct_orders", "fct_consent_spells")} <= known
    assert not known & {"model.quanyu.quarantine", "model.quanyu.row_conservation"}
    before = all_rows(workspace)
    build = chosen.dbt.build(print, select=MODELS)
    assert build.unchanged > build.seeds
    of_a_refresh = {"int_stages__spells_replaced": ..., "int_lifecycle__touched_customers": ...}
    assert all_rows(workspace) | of_a_refresh == before | of_a_refresh


def test_a_rebuild_gives_what_the_refreshes_gave(histories):
    refreshed = all_rows(histories / "workspace")
    refresh(histories, full_refresh=True)
    rebuilt = all_rows(histories / "workspace")
    # What a refresh replaced is of that refresh.
    for passing in ("int_identity__links", "int_stages__spells_replaced"):
        refreshed.pop(passing), rebuilt.pop(passing)
    assert refreshed == rebuilt


def test_nobody_is_exported_while_a_request_waits(tmp_path, intake):
    intake.land("erasure_requests/e.csv", FIRST["erasure_requests/dt=2026-02-01/e.csv"])
    intake.run()
    chosen = Settings(intake.landing, intake.workspace, intake.workspace / "warehouse.duckdb")
    with pytest.raises(ExportError, match="waits"):
        export_audience(chosen, "all", "sms")


def test_published_versions_lose_the_erased_and_one_can_still_be_rolled_back_to(tmp_path):
    serving, ledger = tmp_path / "serving", tmp_path / "suppressed.parquet"
    for day in (1, 2, 3):
        publish(small_warehouse(tmp_path / "w.duckdb", f"2026-06-0{day}"), serving)
    duckdb.execute(
        f"copy (select 'c' || range as customer_id, true as is_forever from range(5, 7)) to '{ledger}' (format parquet)"
    )
    done = erase_versions(serving, ledger)
    assert [(name, found, left) for name, found, left, _ in done] == [
        ("2026-06-01-1", 2, 0),
        ("2026-06-02-2", 2, 0),
        ("2026-06-03-3", 2, 0),
    ]
    assert sorted(path.name for path in (serving / "versions").iterdir()) == [
        "2026-06-02-2",
        "2026-06-03-4",
    ]
    assert current(serving).name == "2026-06-03-4" == current_manifest(serving)["version"]
    rollback(serving)
    for version in (serving / "versions").iterdir():
        with duckdb.connect(str(version / "quanyu.duckdb"), read_only=True) as reader:
            for source in ("marts.customers", f"read_parquet('{version}/marts/customers.parquet')"):
                rows = reader.execute(
                    f"select count(*), count(*) filter (customer_id in ('c5', 'c6')) from {source}"
                ).fetchone()
                assert rows == (1998, 0)
    assert all(found == 0 for _, found, _, _ in erase_versions(serving, ledger))


def test_a_deleted_row_stays_in_the_file_until_the_warehouse_is_compacted(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.3.0"}) as warehouse:
        warehouse.execute("create schema s; create view s.before as select 1 as one")
        warehouse.execute(
            "create table s.t as select range as n, case range when 7 then 'xiaoming@example.com' else"
            " md5(cast(range as varchar)) end as email from range(300000)"
        )
        warehouse.execute("alter table s.t add primary key (n)")
        warehouse.execute("create view s.after as select * from warehouse.s.t")
    with duckdb.connect(str(path)) as warehouse:
        warehouse.execute("delete from s.t where n = 7")
        warehouse.execute("checkpoint")
    assert b"xiaoming" in path.read_bytes()
    erasure.compact(path)
    assert b"xiaoming" not in path.read_bytes()
    with duckdb.connect(str(path), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) from s.after").fetchone() == (299999,)
        keys = warehouse.execute("select constraint_type from duckdb_constraints()").fetchall()
        assert ("PRIMARY KEY",) in keys
        kept = "select tags['storage_version'] from duckdb_databases() where not internal"
        assert warehouse.execute(kept).fetchone() == ("v1.3.0+",)
    assert [file.name for file in tmp_path.iterdir()] == ["warehouse.duckdb"]


def test_the_blocks_of_the_warehouse_are_wiped_when_they_are_due(tmp_path, monkeypatch):
    monkeypatch.delenv("QUANYU_WIPE_AFTER_DAYS", raising=False)
    path, lake, said = tmp_path / "warehouse.duckdb", tmp_path / "lake", []
    lake.mkdir()
    with duckdb.connect(str(path)) as warehouse:
        warehouse.execute("create schema audit; create table t as select range as n from range(10)")
    assert not erasure.wipe(tmp_path, path, said.append)  # nobody was erased
    erasure._mark_state(lake, unwiped_since="2026-06-01")
    before = path.stat().st_ino
    monkeypatch.setattr(erasure, "_today", lambda: date(2026, 6, 7))
    assert not erasure.wipe(tmp_path, path, said.append)
    assert said == [
        "erasure    the blocks of warehouse.duckdb are wiped on 2026-06-08 (QUANYU_WIPE_AFTER_DAYS)"
    ]
    assert path.stat().st_ino == before
    monkeypatch.setattr(erasure, "_today", lambda: date(2026, 6, 8))
    assert erasure.wipe(tmp_path, path, said.append)
    assert path.stat().st_ino != before
    assert not erasure.wipe(tmp_path, path, said.append)  # once
    (proof,) = duckdb.sql(f"from read_parquet('{lake / erasure.PROOF}')").fetchall()
    assert proof[1:5] == ("file", "warehouse.duckdb", 0, 0)
    monkeypatch.setenv("QUANYU_WIPE_AFTER_DAYS", "a week")
    with pytest.raises(erasure.ErasureError, match="QUANYU_WIPE_AFTER_DAYS is `a week`"):
        erasure.wipe(tmp_path, path, said.append)


def test_a_wipe_is_due_so_many_days_after_the_first_erasure(tmp_path, monkeypatch):
    monkeypatch.setenv("QUANYU_WIPE_AFTER_DAYS", "3")
    monkeypatch.setattr(erasure, "_today", lambda: date(2026, 6, 3))
    (tmp_path / "lake").mkdir()
    assert erasure.wipe_due(tmp_path) is None and not erasure.is_wipe_due(tmp_path)
    erasure._mark_state(tmp_path / "lake", unwiped_since="2026-06-01")
    assert erasure.wipe_due(tmp_path) == date(2026, 6, 4) and not erasure.is_wipe_due(tmp_path)
    monkeypatch.setenv("QUANYU_WIPE_AFTER_DAYS", "2")
    assert erasure.is_wipe_due(tmp_path)
