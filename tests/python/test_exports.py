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

from orchestration.exports import (
    SEEDS,
    ExportError,
    erase,
    export,
    read_channels,
    read_log,
    read_suppressions,
    safe_cell,
)
from orchestration.identifiers import key_of

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
    ],
)
def test_a_seed_with_an_error_is_named_with_file_line_and_column(place, file, line, words):
    with (place / "seeds" / file).open("a") as seed:
        seed.write(f"{line}\n")
    with pytest.raises(ExportError) as error:
        read_channels(place / "seeds")
        read_suppressions(place / "seeds")
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
