"""Exports: who is on a list, in which form, in a file that no spreadsheet runs; and a line in the log."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import stat
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from support import ask

from orchestration.exports import (
    SEEDS,
    ExportError,
    erase,
    export,
    read_channels,
    read_log,
    read_standing,
    read_suppressions,
    safe_cell,
)
from orchestration.identifiers import key_of, normalised
from orchestration.job import Settings, export_standing

# customer, is_hold_out, consent channels, identifiers
PEOPLE = {
    "plain": (False, ["sms"], [("phone", "13900000001"), ("openid", "=cmd|' /C calc'!A0")]),
    "two_phones": (False, ["sms"], [("phone", "13900000003"), ("phone", "13900000002")]),
    "hold_out": (True, ["sms"], [("phone", "13900000004")]),
    "no_consent": (False, [], [("phone", "13900000005")]),
    "other_consent": (
        False,
        ["wecom", "official_account"],
        [("phone", "13900000006"), ("openid", "oa:x")],
    ),
    "complained": (False, ["sms"], [("phone", "13900000007"), ("member_id", "M7")]),
    "capped": (False, ["sms"], [("phone", "13900000008")]),
    "no_phone": (False, ["sms"], [("email", "a@example.com")]),
    "only_hash": (
        False,
        ["sms"],
        [("phone", hashlib.md5(b"13900000009", usedforsecurity=False).hexdigest())],
    ),
}


@pytest.fixture
def place(tmp_path) -> Path:
    """A workspace with the tables that an export reads, and seeds of its own."""
    (tmp_path / "lake").mkdir()
    shutil.copytree(SEEDS, tmp_path / "seeds")
    with (tmp_path / "seeds" / "export_suppressions.csv").open("a") as seed:
        seed.write("member_id, M7 ,*,complaint\n")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        for schema in ("marts", "reference", "identity", "lifecycle"):
            warehouse.execute(f"create schema {schema}")
        warehouse.execute("create table reference.as_of as select date '2026-06-30' as as_of_date")
        warehouse.execute(
            "create table marts.audiences as select 'b' as brand_id, 'all' as audience, 77::bigint as rules_hash"
            " union all select 'b2', 'all', 77"
        )
        warehouse.execute(
            "create table marts.audience_members (audience varchar, brand_id varchar, customer_id varchar,"
            " valid_from date, valid_to date, is_current boolean, is_hold_out boolean)"
        )
        warehouse.execute(
            "create table marts.contact_pressure as select 'b' as brand_id, 'capped' as customer_id,"
            " '*' as channel, true as is_capped"
        )
        warehouse.execute(
            "create table identity.dim_customers (customer_id varchar, customer_key bigint, phone varchar, email varchar)"
        )
        warehouse.execute(
            "create table identity.bridge_customer_identifiers (customer_key bigint, identifier_key bigint,"
            " identifier_type varchar, identifier_value varchar, is_current boolean, guard varchar,"
            " first_load_number bigint)"
        )
        warehouse.execute(
            "create table lifecycle.fct_consent_spells (brand_id varchar, customer_key bigint, channel varchar,"
            " valid_from date, valid_to date)"
        )
        for key, (name, (held_out, consents, identifiers)) in enumerate(PEOPLE.items()):
            warehouse.execute(
                "insert into marts.audience_members values ('all', 'b', ?, '2026-06-01', null, true, ?),"
                " ('all', 'b', ?, '2026-05-01', '2026-05-02', false, ?)",
                [name, held_out, name, held_out],
            )
            warehouse.execute(
                "insert into identity.dim_customers values (?, ?, ?, null)",
                [name, key, "13900000002" if name == "two_phones" else None],
            )
            for kind, value in identifiers:
                warehouse.execute(
                    "insert into identity.bridge_customer_identifiers values"
                    f" (?, {key_of('?::varchar', '?::varchar')}, ?, ?, true, null, 1)",
                    [key, value, kind, value, kind, value],
                )
            for channel in consents:
                warehouse.execute(
                    "insert into lifecycle.fct_consent_spells values ('b', ?, ?, '2026-01-01', '2026-07-01'),"
                    " ('b2', ?, 'sms', '2026-01-01', null)",
                    [key, channel, key],
                )
        # Who has left the audience is not on a list, consent or not.
        warehouse.execute(
            "insert into marts.audience_members values ('all', 'b', 'left', '2026-05-01', '2026-05-02', false, false);"
            "insert into identity.dim_customers values ('left', 99, null, null);"
            "insert into lifecycle.fct_consent_spells values ('b', 99, 'sms', '2026-01-01', null);"
            "insert into identity.bridge_customer_identifiers values (99, 99, 'phone', '13900000099', true, null, 1)"
        )
        # Consent that ends on the day looked at is none any more.
        warehouse.execute(
            "insert into lifecycle.fct_consent_spells values ('b', 3, 'sms', '2026-01-01', '2026-06-30')"
        )
    return tmp_path


def made(place: Path, channel: str, **options):
    done = export(
        place,
        place / "warehouse.duckdb",
        "all",
        channel,
        brand="b",
        seeds=place / "seeds",
        **options,
    )
    return done[0], place / "exports" / done[0].folder


def listed(folder: Path) -> list[str]:
    with (folder / "list.csv").open(encoding="utf-8-sig", newline="") as stream:
        return [row["identifier"] for row in csv.DictReader(stream)]


def test_a_list_holds_who_consented_and_nobody_who_is_held_out_suppressed_or_capped(place):
    done, folder = made(place, "sms")
    assert sorted(listed(folder)) == ["13900000001", "13900000002"]
    assert (done.members, done.held_out, done.without_consent, done.suppressed, done.capped) == (
        *(9, 1, 2, 1, 1),
    )
    assert (done.without_identifier, done.customers, done.identifiers) == (2, 2, 2)
    assert done.rules_hash == 77 and done.as_of_date == date(2026, 6, 30)


def test_advertising_gets_every_identifier_hashed_and_takes_hashes_as_they_are(place):
    _, folder = made(place, "ads_phone_md5")
    phones = [f"1390000000{n}" for n in (1, 2, 3, 6, 9)]
    assert sorted(listed(folder)) == sorted(
        hashlib.md5(phone.encode(), usedforsecurity=False).hexdigest() for phone in phones
    )
    _, folder = made(place, "ads_phone_sha256")
    assert sorted(listed(folder)) == sorted(
        hashlib.sha256(phone.encode()).hexdigest() for phone in phones[:4]
    )


def test_no_cell_of_the_csv_is_a_formula_and_the_parquet_file_is_as_it_is(place):
    seeds = place / "seeds" / "export_channels.csv"
    seeds.write_text(seeds.read_text().replace("official_account,official_account", "oa,sms"))
    done, folder = made(place, "oa")
    assert listed(folder) == ["'=cmd|' /C calc'!A0"] and done.escaped_cells == 1
    assert pq.read_table(folder / "list.parquet")["identifier"].to_pylist() == [
        "=cmd|' /C calc'!A0"
    ]
    for start in ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"):
        assert safe_cell(f"{start}1+1") == f"'{start}1+1"
    assert [safe_cell(text) for text in ("13900000001", "a=b", "", "王")] == [
        *("13900000001", "a=b", "", "王"),
    ]


def test_the_csv_opens_in_excel_and_both_files_are_their_owners_alone(place):
    _, folder = made(place, "sms")
    assert (folder / "list.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE((place / "exports").stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_every_export_is_logged_with_the_hashes_of_its_files_and_repeats_to_the_byte(place):
    first, folder = made(place, "sms")
    second, _ = made(place, "sms")
    log = read_log(place)
    assert [row["export_number"] for row in log] == [1, 2]
    digest = hashlib.sha256((folder / "list.csv").read_bytes()).hexdigest()
    assert log[0]["csv_sha256"] == digest == second.csv_sha256 == first.csv_sha256
    assert first.parquet_sha256 == second.parquet_sha256
    assert json.loads((folder / "manifest.json").read_text())["customers"] == 2


def test_an_id_of_another_app_is_not_for_this_channel(place):
    seeds = place / "seeds" / "export_channels.csv"
    wanted = "official_account,official_account,openid,plain"
    seeds.write_text(seeds.read_text().replace(f"{wanted},", f"{wanted},oa"))
    _, folder = made(place, "official_account")
    assert listed(folder) == ["x"]


def test_an_erased_customer_leaves_the_lists_that_were_exported(place):
    _, folder = made(place, "sms")
    ledger = place / "suppressed.parquet"
    duckdb.execute(
        "copy (select 'two_phones' as customer_id, true as is_forever"
        f" union all select 'plain', false) to '{ledger}' (format parquet)"
    )
    assert erase(place, ledger) == [(folder.name, 1, 0, "rewritten without them")]
    assert listed(folder) == ["13900000001"]
    assert pq.read_table(folder / "list.parquet")["customer_id"].to_pylist() == ["plain"]
    assert json.loads((folder / "manifest.json").read_text())["erased_rows"] == 1
    assert erase(place, ledger)[0][1] == 0


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("export_channels.csv", "x,sms,fax,plain,,a,b", "line 10, column identifier_type: `fax`"),
        ("export_channels.csv", "x,sms,phone,rot13,,a,b", "line 10, column identifier_form"),
        ("export_channels.csv", "x,smoke,phone,md5,,a,b", "line 10, column consent_channel"),
        ("export_channels.csv", "sms,sms,phone,md5,,a,b", "line 10, column export_channel: `sms`"),
        ("export_channels.csv", "../x,sms,phone,md5,,a,b", "line 10, column export_channel"),
        ("export_suppressions.csv", "fax,1,*,", "line 3, column identifier_type"),
        ("export_suppressions.csv", "phone,1,fax,", "line 3, column export_channel: `fax`"),
        ("export_suppressions.csv", "phone, ,*,", "line 3, column identifier_value"),
        ("standing_exports.csv", "nobody,*,sms", "line 2, column audience: `nobody`"),
        ("standing_exports.csv", "bought_30d,,sms", "line 2, column brand_id"),
        ("standing_exports.csv", "bought_30d,*,fax", "line 2, column export_channel: `fax`"),
    ],
)
def test_a_seed_with_an_error_is_named_with_file_line_and_column(place, file, line, words):
    with (place / "seeds" / file).open("a") as seed:
        seed.write(f"{line}\n")
    with pytest.raises(ExportError) as error:
        read_channels(place / "seeds")
        read_suppressions(place / "seeds")
        read_standing(place / "seeds")
    assert str(error.value).startswith(f"{file} {words}")


def test_an_unknown_audience_channel_or_brand_says_which_there_are(place):
    for audience, channel, brand, words in [
        ("none", "sms", None, "there is no audience `none`: use all"),
        ("all", "pigeon", None, "use sms, email"),
        ("all", "sms", "c", "use b, b2"),
    ]:
        with pytest.raises(ExportError, match=words):
            export(place, place / "warehouse.duckdb", audience, channel, brand=brand)
    assert not (place / "exports").exists()


def test_nothing_is_exported_unasked_and_a_standing_list_once_a_day_and_of_no_past_day(place):
    settings = Settings(place / "landing", place, place / "warehouse.duckdb")
    past = Settings(place / "landing", place, settings.database, as_of_date="2026-06-29")
    assert read_standing() == [] == export_standing(settings)
    seeds = place / "seeds"
    with (seeds / "audience_definitions.csv").open("a") as seed:
        seed.write("all" + "," * (len(seed_header(seeds / "audience_definitions.csv")) - 1) + "\n")
    (seeds / "standing_exports.csv").write_text(
        "audience,brand_id,export_channel\nall,*,sms\nall,b,email\n"
    )
    assert export_standing(past, seeds) == [] and not (place / "exports").exists()
    made(place, "email")
    done = export_standing(settings, seeds)
    assert [(each.brand_id, each.export_channel) for each in done] == [("b", "sms"), ("b2", "sms")]
    assert export_standing(settings, seeds) == []
    with duckdb.connect(str(settings.database)) as warehouse:
        warehouse.execute("update reference.as_of set as_of_date = date '2026-07-01'")
    assert len(export_standing(settings, seeds)) == 3
    assert len(read_log(place)) == 6


def seed_header(file: Path) -> list[str]:
    with file.open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream))


@pytest.mark.parametrize("channel", ["sms", "wecom", "official_account"])
def test_the_counts_of_an_export_are_those_that_the_audience_was_told(warehouse, tmp_path, channel):
    """Members are either on the list or left out once, and audience_channels had promised as many."""
    (tmp_path / "lake").mkdir()
    shutil.copy2(warehouse / "warehouse.duckdb", tmp_path)
    seeds = Path(shutil.copytree(SEEDS, tmp_path / "seeds"))
    promised = {
        row[:2]: row[2:]
        for row in ask(
            tmp_path,
            "select brand_id, audience, reachable_customers, hold_out_customers, capped_customers,"
            f" contactable_customers from marts.audience_channels where channel = '{channel}'",
        )
    }
    sizes = {
        row[:2]: row[2]
        for row in ask(
            tmp_path,
            "select brand_id, audience, count(distinct customer_id) from marts.audience_members"
            " where is_current group by all",
        )
    }
    lists = [
        each
        for audience in ("bought_30d", "important_at_risk", "rfm_important_value", "churn_warning")
        for each in export(tmp_path, tmp_path / "warehouse.duckdb", audience, channel, seeds=seeds)
    ]
    for done in lists:
        key = (done.brand_id, done.audience)
        outcomes = (
            done.held_out + done.without_consent + done.suppressed + done.capped,
            done.without_identifier + done.customers,
        )
        assert done.members == sum(outcomes) == sizes.get(key, 0)
        reachable, held_out, capped, contactable = promised.get(key, (0, 0, 0, 0))
        assert (done.capped, outcomes[1]) == (capped, contactable)
        assert reachable == held_out + capped + contactable
        rows = pq.read_table(tmp_path / "exports" / done.folder / "list.parquet")
        assert rows.num_rows == done.identifiers == done.customers == len(set(rows["customer_id"]))
    assert sum(done.customers for done in lists) > 0 < sum(done.without_consent for done in lists)
    # One person of a list is suppressed: the list is shorter by exactly that one.
    full = max(lists, key=lambda done: done.customers)
    (kind, value), *_ = [
        (row["identifier_type"], row["identifier"])
        for row in pq.read_table(tmp_path / "exports" / full.folder / "list.parquet").to_pylist()
    ]
    with (seeds / "export_suppressions.csv").open("a") as seed:
        seed.write(f"{kind},{value},*,complaint\n")
    (less,) = export(
        tmp_path,
        tmp_path / "warehouse.duckdb",
        full.audience,
        channel,
        brand=full.brand_id,
        seeds=seeds,
    )
    assert (less.suppressed, less.customers) == (1, full.customers - 1)
    assert less.members == full.members


def test_an_identifier_is_written_one_way_however_it_was_typed():
    cases = [("phone", "+86 139-1111-2222", "13911112222"), ("phone", "０１３９", "0139")]
    cases += [("phone", "A" * 32, "a" * 32), ("phone", "none", None)]
    cases += [("email", "A@B.c", "a@b.c"), ("as_is", "A", "A")]
    for normaliser, landed, kept in cases:
        value = normalised(f"'{normaliser}'", f"'{landed}'")
        assert duckdb.execute(f"select {value}").fetchone() == (kept,), landed
    keys = [key_of("'phone'", value) for value in ("'1'", "'1'", "'2'", "null::varchar")]
    one, same, other, nothing = duckdb.execute(f"select {', '.join(keys)}").fetchone()
    assert one == same != other and nothing is None
