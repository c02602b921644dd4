"""The health report: what it says equals what the marts say, and the page needs and betrays nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
import report_world as made
from click.testing import CliRunner

from orchestration.__main__ import main
from orchestration.hold import Hold
from orchestration.job import Outcome
from orchestration.report import brands, read, render, words, write_held_reports, write_reports
from orchestration.report.alluvial import alluvial
from orchestration.report.charts import sparkline
from orchestration.report.content import (
    entity_names,
    headline,
    held_back,
    light_of,
    worst_light,
    z_of,
)
from orchestration.report.pages import file_name
from orchestration.serving import publish
from orchestration.warehouse import BuildError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    return made.make(tmp_path_factory.mktemp("report") / "warehouse.duckdb")


@pytest.fixture(scope="module")
def held_database(database, tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("held") / "warehouse.duckdb"
    shutil.copy2(database, copy)
    made.hold(copy)
    return copy


@pytest.fixture(scope="module")
def written(database, tmp_path_factory) -> Path:
    """Folder of the reports in Chinese; tests only read it."""
    folder = tmp_path_factory.mktemp("written")
    write_reports(database, folder)
    return folder


def content_of(database: Path, brand: str, language: str = "zh") -> dict:
    with duckdb.connect(str(database), read_only=True) as connection:
        return read(connection, brand, language)


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def test_the_report_says_what_the_marts_say(database):
    content = content_of(database, "north")
    fast = {letter["letter"]: letter for letter in content["fast"]}
    assert fast["F"]["value"] == 388 and fast["F"]["week_ago"] == 400
    assert fast["F"]["relative_change"] == pytest.approx(-0.03)
    assert fast["A"]["value"] == 8 / 400 and fast["A"]["week_ago"] == 16 / 400
    assert fast["S"]["value"] == 200 and fast["S"]["change"] == 0
    assert fast["T"]["numerator"] == 100 and fast["T"]["denominator"] == 200
    assert all(len(letter["trend"]) == 30 for letter in content["fast"])
    assert content["flow"]["totals"]["lost"] == 12 and content["flow"]["totals"]["stayed"] == 388
    assert [stage["stage"] for stage in content["funnel"]] == list("AIPL")
    assert content["funnel"][-1]["customers"] == 388 and content["funnel"][-1]["change"] == -12
    assert [len(content[model]) for model in ("five_r", "lifecycle")] == [5, 1]
    assert content["rfm"]["customers"] == 400 and content["rfm"]["money"] == 4000
    assert content["rfm"]["classes"][0]["code"] == "111" and len(content["rfm"]["classes"]) == 8
    assert content["quality"]["rows"]["missing"] == 0
    assert content["identity"]["figures"][0]["rate"] == 3.0


def test_customers_who_are_due_in_two_categories_count_once(database):
    care = content_of(database, "north")["care"]
    assert (care["due"], care["suppressed"], care["warning"], care["churned"]) == (2, 1, 1, 1)
    assert care["owners"][0] == {
        "owner": "G01",
        "due": 1,
        "suppressed": 0,
        "warning": 1,
        "churned": 0,
    }
    assert care["unowned"]["due"] == 1


def test_a_quarantined_row_counts_under_one_kind(database):
    kinds = content_of(database, "north", "en")["quality"]["quarantine"]
    assert {kind["reason"]: kind["rows"] for kind in kinds} == {
        "A required field is empty": 2,
        "A negative amount": 1,
        "Other (see audit.quarantine)": 1,
    }


def test_a_loss_on_the_limit_is_amber_and_a_fall_that_may_be_chance_is_no_worse(database):
    fast = {letter["letter"]: letter for letter in content_of(database, "north")["fast"]}
    assert fast["F"]["light"] == "amber" and "流失 12 人" in fast["F"]["reason"]
    assert fast["A"]["relative_change"] == -0.5 and fast["A"]["light"] == "amber"
    assert "随机" in fast["A"]["reason"] and fast["A"]["action"]
    assert fast["S"]["light"] == "green" and fast["T"]["light"] == "green"


def test_the_reason_names_what_moved_a_figure_most_in_its_direction(database, tmp_path):
    fast = {letter["letter"]: letter for letter in content_of(database, "north")["fast"]}
    assert [(d["stage"], d["by"]) for d in fast["F"]["drivers"]] == [("L", -9), ("A", -5)]
    assert [(d["text"], d["by_text"]) for d in fast["F"]["drivers"]] == [
        ("离开 L 忠诚（久无行为）", "−9"),
        ("离开 A 认知（有新行为）", "−5"),
    ]
    assert [d["by"] for d in fast["A"]["drivers"]] == [-0.025]
    assert [(d["text"], d["by_text"]) for d in fast["A"]["drivers"]] == [
        ("从 各层 加深的人", "−2.50")
    ]
    assert fast["S"]["drivers"] == []
    # A dimension that is new to the table is spoken of, too.
    more = tmp_path / "more.duckdb"
    shutil.copy2(database, more)
    with duckdb.connect(str(more)) as connection:
        connection.execute(
            "alter table marts.fast_drivers add column acquisition_channel varchar default 'tmall'"
        )
        connection.execute("alter table marts.fast_drivers add column shop varchar default 'S1'")
    # The steps are not cut into pieces by the new dimensions.
    assert [(d["text"], d["by"]) for d in content_of(more, "north")["fast"][0]["drivers"]] == [
        ("离开 L 忠诚（久无行为）", -9),
        ("离开 A 认知（有新行为）", -5),
        ("来源渠道：天猫旗舰店", -12),
        ("shop：S1", -12),
    ]
    said = [d["text"] for d in content_of(more, "north", "en")["fast"][0]["drivers"]]
    assert said[0] == "Left L Loyalty (silent too long)"
    assert said[2] == "Acquired through: Tmall flagship store"


def test_star_is_that_of_the_last_complete_month(database):
    star = content_of(database, "north")["star"]
    assert (star["month"], star["is_complete"]) == ("2026-05", True)
    assert [(row["layer"], row["customers"]) for row in star["layers"]] == [
        ("R5", 300),
        ("R4", 300),
    ]
    r5, r4 = star["layers"]
    assert (r4["forward_rate"], r4["lost_rate"], r4["money"], r4["buyers"]) == (
        0.1,
        0.02,
        1234.5,
        30,
    )
    assert r5["forward_rate"] is None and r5["money"] is None and r5["member_share"] == 0.5
    assert [(g["name"], g["customers"], g["base_customers"]) for g in star["goals"]] == [
        ("拉新", 12, 300),
        ("种草", 7, 300),
    ]
    assert content_of(database, "north", "en")["star"]["goals"][0]["name"] == "Win new people"
    assert content_of(database, "solo")["star"] is None


def test_aarrr_holds_the_last_seven_days_against_the_seven_before(database):
    steps = {step["step"]: step["figures"] for step in content_of(database, "north")["aarrr"]}
    assert list(steps) == ["acquisition", "activation", "retention", "revenue", "referral"]
    new, _, cost = steps["acquisition"]
    assert (new["value"], new["week_ago"], new["change"]) == (70, 35, 35)
    assert (cost["value"], cost["week_ago"]) == (10, 20)
    rate = steps["activation"][0]
    assert rate["value"] == 7 / 28 and rate["week_ago"] is None and rate["change"] is None
    assert [figure["value"] for figure in steps["retention"]] == [50, 200, 0.25]
    assert steps["revenue"][0]["value"] == 7000
    assert content_of(database, "solo")["aarrr"] == []


def test_campaigns_in_flight_are_those_that_run_on_the_day_dearest_first(database):
    campaigns = content_of(database, "north")["campaigns"]
    assert [(row["name"], row["days_left"]) for row in campaigns["running"]] == [
        ("big …", 5),
        ("small", 0),
    ]
    assert campaigns["count"] == 2 and content_of(database, "solo")["campaigns"] is None
    page = Page(render(content_of(database, "north"))).text
    assert "还剩 5 天" in page and "最后一天" in page and "to come" not in page


def test_figures_that_changed_after_they_were_published_are_counted(database):
    assert content_of(database, "north")["quality"]["restated"] == [
        {"metric": "fertility", "days": 2, "largest": 7}
    ]
    assert content_of(database, "solo")["quality"]["restated"] == []
    page = Page(render(content_of(database, "north", "en"))).text
    assert "Restated figures" in page and "No figure" not in page


LIMITS = [
    {"light": "green", "direction": "up", "limit_change": -0.1, "chance_z": 1.96},
    {"light": "amber", "direction": "up", "limit_change": -0.25, "chance_z": 1.96},
    {"light": "red", "direction": "up", "limit_change": None, "chance_z": 1.96},
]


@pytest.mark.parametrize(
    ("change", "z", "light"),
    [
        (None, None, "none"),
        (0.5, 9, "green"),
        (-0.1, -9, "green"),
        (-0.100001, -9, "amber"),
        (-0.25, -9, "amber"),
        (-0.26, -1.97, "red"),
        (-0.26, -1.95, "amber"),
        (-0.26, None, "red"),
    ],
)
def test_the_best_light_whose_limit_is_reached_shines(change, z, light):
    assert light_of(change, LIMITS, z)[0] == light


def test_where_less_is_better_the_lights_turn_round():
    down = [row | {"direction": "down"} for row in LIMITS]
    assert light_of(0.5, down, -9)[0] == "red"
    assert light_of(-0.5, down, -9)[0] == "green"


def test_without_limits_nothing_is_judged():
    assert light_of(-0.5, [], None) == ("none", None, False)


def test_standard_errors_are_those_of_two_shares():
    assert z_of((8, 400), (16, 400)) == pytest.approx(-1.658, abs=1e-3)
    assert z_of((0, 0), (16, 400)) is None
    assert z_of((0, 10), (0, 10)) == 0


def test_a_brand_of_its_own_limits_is_judged_by_them(database, tmp_path):
    own = tmp_path / "own.duckdb"
    shutil.copy2(database, own)
    with duckdb.connect(str(own)) as connection:
        connection.execute(
            "insert into reference.report_thresholds"
            " select 'north', letter, metric, direction, light, limit_change + 0.02, chance_z, action_zh, action_en"
            " from reference.report_thresholds where letter = 'F'"
        )
    assert content_of(own, "north")["fast"][0]["light"] == "red"
    assert content_of(own, made.HOSTILE)["fast"][0]["light"] == "green"


def test_the_headline_names_what_needs_doing():
    def day(*lights):
        letters = [
            {"letter": x, "name": x.lower(), "light": y}
            for x, y in zip("FAST", lights, strict=True)
        ]
        return headline(letters, False, False, words.texts("en"))

    assert day("green", "green", "green", "green") == "All four are within their usual range."
    assert day("red", "amber", "green", "green") == "Act today: F f. Watch: A a. The rest is fine."
    assert day("none", "none", "none", "none") == "There is not enough data to judge."
    assert day("green", "none", "green", "green") == "Not enough data to judge: A a."


def test_a_brand_with_nothing_says_so_in_words(database):
    content = content_of(database, "void")
    assert content["status"] == "empty"
    for part in ("stock", "flow", "rfm", "care"):
        assert content[part] is None
    page = Page(render(content))
    assert "svg" not in page.elements
    for key in ("headline_empty", "no_stock", "flow_empty", "no_stages", "no_rfm", "no_care"):
        assert words.texts("zh")[key] in page.text


def test_one_customer_is_no_basis_for_a_verdict_or_a_picture(database):
    content = content_of(database, "solo", "en")
    assert {letter["light"] for letter in content["fast"]} == {"none"}
    page = Page(render(content))
    assert "Fewer than 10 people: no verdict." in page.text
    assert "Fewer than 10 people make no picture" in page.text
    assert "nan" not in page.text.lower().split() and "None" not in page.text


def test_tables_that_are_missing_are_said_to_be_missing(tmp_path):
    path = tmp_path / "bare.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema reference")
        connection.execute(
            "create table reference.as_of as select date '2026-06-30' as as_of_date, 'chosen' as as_of_source"
        )
        assert brands(connection) == []
        page = Page(render(read(connection, "north")))
    assert (
        words.texts("zh")["no_quality"] in page.text
        and words.texts("zh")["no_identity"] in page.text
    )
    assert [p.name for p in write_reports(path, tmp_path / "reports")] == ["index.html"]


def test_a_day_with_held_batches_says_so_first_and_why(held_database, database):
    assert content_of(database, "north")["status"] == "ok"
    content = content_of(held_database, "north")
    assert content["status"] == "held" and content["held_count"] == 3
    newest, orders, refunds = content["held"]
    assert newest["batch"] == "dt=2026-07-01"  # why the day is not newer
    assert orders["name"] == "订单" and orders["reasons"] == [
        "amount（310 行里 160 行，51.6%）：必填字段为空的行太多。请让来源补填，或修正导出映射。"
    ]
    assert orders["sentences"][0].startswith("`amount` is empty in 160 of 310 rows (51.6%)")
    assert refunds["is_redelivery"] and not orders["is_redelivery"]
    page = Page(render(content))
    assert page.text.index("有批次被扣留") < page.text.index("可运营人群")
    english = Page(render(content_of(held_database, "north", "en"))).text
    assert "amount is empty in 160 of 310 rows" in english


def test_a_day_that_was_not_published_shows_the_last_figures_and_says_why(
    database, held_database, tmp_path
):
    failure = {"kind": "test", "name": "not_null_x", "test": "not_null", "table": "fct_orders"}
    failure |= {"column": "amount", "rows": 1200, "message": f"Got 1200 ({made.PHONE})"}
    hold = Hold("build", "2026-07-01", failures=[failure])
    index, *pages = write_held_reports(hold, database, held_database, tmp_path)
    assert {page.parent.name for page in pages} == {"2026-07-01"} and len(pages) == 3
    content = json.loads((tmp_path / "2026-07-01" / "north.json").read_text("utf-8"))
    assert content["as_of"] == "2026-06-30" and content["status"] == "held"
    assert content["fast"] == content_of(database, "north")["fast"]
    assert content["hold"]["reasons"] == ["fct_orders 的 amount 有 1,200 行为空。"]
    # The batches that the broken warehouse has on hold are another matter; its audit is read.
    assert content["held"] == [] and content["quality"]["batches"]["held"] == 3
    text = Page((tmp_path / "2026-07-01" / "north.html").read_text("utf-8")).text
    assert text.index("7月1日的数据没有发布") < text.index("可运营人群") and made.PHONE not in text
    assert "7月1日的数据没有发布，以下是6月30日的数字" in Page(index.read_text("utf-8")).text


def test_a_held_page_needs_no_warehouse_and_nothing_published_gives_no_page(database, tmp_path):
    batch = {"entity": "orders", "batch": "dt=2026-07-01", "status": "held", "reasons": "0 bytes"}
    hold = Hold("batches", "2026-07-01", batches=[batch])
    write_held_reports(hold, database, tmp_path / "absent.duckdb", tmp_path, "en")
    content = json.loads((tmp_path / "2026-07-01" / "north.json").read_text("utf-8"))
    assert content["quality"] is None and content["held"][0]["batch"] == "dt=2026-07-01"
    assert "1 July was not published; these are the figures of 30 June." in content["headline"]
    # Before the first publication, and for a past day, there is nothing to show.
    for published, day in ((None, "2026-07-01"), (database, "2026-05-01")):
        folder = tmp_path / day / "none"
        assert [
            path.name
            for path in write_held_reports(Hold("gate", day), published, tmp_path / "x", folder)
        ] == ["index.html"]


@pytest.mark.parametrize(
    ("changed", "zh", "en"),
    [
        ({}, "fct 的 c 有 3 行为空。", "fct has no c in 3 of its rows."),
        (
            {"test": "assert_x"},
            "检查 t 没有通过，3 行不符。",
            "The check t failed; rows that do not hold: 3.",
        ),
        ({"column": ""}, "检查 t 没有通过", "The check t failed"),
        ({"rows": None}, "检查 t 没能运行。", "The check t could not run."),
        ({"kind": "model", "name": "m"}, "表 m 没有建成。", "The table m could not be built."),
    ],
)
def test_what_failed_in_a_build_is_a_plain_sentence(changed, zh, en):
    failure = {"kind": "test", "name": "t", "test": "not_null", "table": "fct", "column": "c"}
    failure |= {"rows": 3, "message": "Got 3 results"} | changed
    assert words.failure_in_words(failure, "zh").startswith(zh)
    assert words.failure_in_words(failure, "en").startswith(en)


def test_a_chosen_day_does_not_know_what_was_held_later(held_database, tmp_path):
    past = tmp_path / "past.duckdb"
    shutil.copy2(held_database, past)
    with duckdb.connect(str(past)) as connection:
        connection.execute("update reference.as_of set as_of_source = 'chosen'")
    content = content_of(past, "north")
    assert [held["batch"] for held in content["held"]] == ["dt=2026-06-30"] * 2


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_no_page_or_json_betrays_a_person_or_calls_anybody(held_database, tmp_path, language):
    written = write_reports(held_database, tmp_path, language)
    pages = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 5 and len(pages) == 9
    for path in pages:
        text = path.read_text("utf-8")
        for planted in (made.PHONE, made.EMAIL, made.CUSTOMER):
            assert planted not in text, (path.name, planted)
        assert "://" not in text and "url(" not in text and "@import" not in text
        assert path.stat().st_size < 2_000_000
        if path.suffix == ".html":
            page = Page(text)
            assert not {"script", "link", "img", "iframe", "object"} & set(page.elements) - {"link"}
            links = [value for name, value in page.attributes if name in ("src", "href", "action")]
            assert [link for link in links if ":" in link] == ["data:,"]
            assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_a_hostile_brand_is_only_text(written):
    hostile = next(
        path for path in (written / "2026-06-30").glob("*.html") if "script" in path.name
    )
    assert re.fullmatch(r"script_alert_x_script-[0-9a-f]{8}\.html", hostile.name)
    for path in (hostile, written / "index.html"):
        html = path.read_text("utf-8")
        assert "<script" not in html and made.HOSTILE in Page(html).text
    names = [file_name(brand) for brand in ("../x", "x", "index", "兰溪", "", "a b", "a_b")]
    assert len({name.lower() for name in names}) == 7 and not any("/" in name for name in names)
    assert names[1] == "x" and names[3] == "兰溪"


def test_the_same_marts_give_the_same_bytes_and_the_json_is_the_content(
    database, written, tmp_path
):
    write_reports(database, tmp_path)
    files = [path for path in written.rglob("*") if path.is_file()]
    assert len(files) == 9
    for path in files:
        assert path.read_bytes() == (tmp_path / path.relative_to(written)).read_bytes()
    north = written / "2026-06-30" / "north.html"
    content = json.loads(north.with_suffix(".json").read_text("utf-8"))
    assert content == content_of(database, "north")
    assert render(content) == north.read_text("utf-8")


def test_writing_again_replaces_the_day_and_keeps_other_days(database, written, tmp_path):
    for day in ("2026-06-29", "2026-06-30"):
        shutil.copytree(written / "2026-06-30", tmp_path / day)
        (tmp_path / day / "gone.html").write_text("x")
    index = write_reports(database, tmp_path)[0].read_text("utf-8")
    assert not (tmp_path / "2026-06-30" / "gone.html").exists()
    assert (tmp_path / "2026-06-29" / "gone.html").exists()
    assert index.index("2026年6月30日") < index.index("2026年6月29日")


def test_ids_are_unique_and_charts_take_their_colours_from_the_page(database):
    html = render(content_of(database, "north"))
    ids = [value for name, value in Page(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    chart = html[html.index('<div class="wide">') :]
    assert 'fill="var(--stage-4)"' in chart and "prefers-color-scheme: dark" in html


def test_numbers_are_written_for_people():
    assert words.number(12345) == "12,345" and words.number(None) == "–"
    assert words.percent(0.01443) == "1.4%" and words.signed_percent(-0.2058) == "−20.6%"
    assert (
        words.signed(3) == "+3"
        and words.signed(-1234) == "−1,234"
        and words.signed(-0.01, 1) == "±0.0"
    )
    assert words.money(219024.19, "zh") == "21.9 万" and words.money(219024.19, "en") == "219.0K"
    assert words.money(9830.5, "zh") == words.money(9830.5, "en") == "9,830"
    assert words.day("2026-06-30", "zh", with_year=True) == "2026年6月30日"
    assert words.day("2026-06-30", "en") == "30 June"


def test_ids_phones_and_addresses_are_masked_and_days_are_not():
    shown = words.masked("a 13912345678, x.y@example.com, MY-G15, dt=2026-06-30, 1,234 rows")
    assert shown == "a …, …, MY-G15, dt=2026-06-30, 1,234 rows"


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        (
            "orders/x.csv: none of its columns `a` belongs to orders: is the header line missing?",
            "缺表头",
        ),
        ("x.csv: the file is empty (0 bytes): land it again, or remove it", "文件是空的"),
        (
            "x.parquet: cannot be read as Parquet (odd): it is damaged or cut off, land it again",
            "没传完",
        ),
        ("the header is not valid UTF-8 and looks like GBK: save the file as UTF-8", "UTF-8"),
        (
            "`paid_at` cannot be read in 9 of 10 rows (90.0%); allowed: at most 5%",
            "paid_at（10 行里 9 行，90.0%）：很多值无法识别",
        ),
        ("missing required columns `order_id`, `amount`; allowed: none", "order_id、amount：缺少"),
        ("something new", "见检查原文"),
    ],
)
def test_a_sentence_of_the_gate_is_plain_chinese(sentence, says):
    assert says in words.held_in_words(sentence, "zh")
    assert words.held_in_words(sentence, "en") == sentence


def test_a_day_that_is_kept_back_says_why_without_a_number_of_a_person():
    hold = Hold("machine", "2026-07-01", message="disk full\nto do: call 13912345678")
    said = held_back(hold, date(2026, 6, 30), words.texts("en"), "en")
    assert said["headline"] == "1 July was not published; these are the figures of 30 June."
    assert (said["reasons"], said["sentences"]) == ([], ["disk full", "to do: call …"])
    failure = {"kind": "model", "name": "customers", "rows": None, "test": "", "message": "no"}
    said = held_back(
        hold.with_(kind="build", failures=[failure] * 2), date(2026, 6, 30), words.texts("zh"), "zh"
    )
    assert said["reasons"] == ["表 customers 没有建成。"]  # once
    assert said["sentences"][0] == "customers: no"


def test_the_worst_light_of_a_day_is_red_before_amber_before_green():
    def day(*lights):
        return worst_light({"fast": [{"light": light} for light in lights]})

    assert day("green", "red", "amber") == "red" and day("none", "amber") == "amber"
    assert day("none", "green") == "green" and day("none") == day() == "none"


def test_entities_are_named_in_the_language_of_the_report():
    assert entity_names("zh")["orders"] == "订单" and entity_names("en")["orders"] == "Orders"
    assert entity_names("en")["order_lines"] == "Order lines"


def test_a_band_of_the_flow_is_as_thick_as_its_people_and_never_thinner_than_a_hair():
    said = words.texts("en")
    cells = [("A", "P", "forward", 900), ("P", "none", "lost", 1)]
    flow = {
        "stages": [{"stage": "A", "name": "Aware"}, {"stage": "P", "name": "<b>Bought</b>"}],
        "cells": [
            dict(zip(("from_stage", "to_stage", "direction", "customers"), cell, strict=True))
            for cell in cells
        ],
    }
    svg = alluvial(flow, said, width=600, height=400)
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]
    # The nodes of the start, then those of the end, the deepest on top: P 1, A 900; P 900, none 1.
    assert heights[0] == heights[3] == 1.5 and heights[1] == heights[2] > 300
    assert "<title>A Aware → P &lt;b&gt;Bought&lt;/b&gt;: 900</title>" in svg and "<b>" not in svg


def test_a_figure_that_hardly_moves_is_drawn_flat():
    def heights(*values):
        svg = sparkline([[f"2026-06-0{n}", v] for n, v in enumerate(values, 1)], "green")
        path = re.search(r'd="M([^"]*)" stroke="var\(--ink\)"', svg).group(1)
        found = [float(point.split(",")[1]) for point in path.split("L")]
        return max(found) - min(found)

    assert heights(1000, 1001, 1000) < 2 and heights(1000, 1500, 1000) > 35


def test_an_unknown_language_is_refused(database):
    with pytest.raises(ValueError, match="zh and en"):
        content_of(database, "north", "fr")


def test_both_languages_have_every_word():
    chinese, english = words.texts("zh"), words.texts("en")
    assert all(text for key, text in (*chinese.items(), *english.items()) if key != "space")
    assert {key for key, text in english.items() if re.search(r"[一-鿿]", text)} == {"about"}


def test_the_command_writes_the_reports_of_a_built_warehouse(database, tmp_path):
    shutil.copy2(database, tmp_path / "warehouse.duckdb")
    options = [
        "report",
        "--landing",
        str(tmp_path),
        "--workspace",
        str(tmp_path),
        "--language",
        "en",
    ]
    said = CliRunner().invoke(main, options)
    assert said.exit_code == 0, said.output
    assert f"report     {tmp_path / 'reports' / '2026-06-30' / 'north.html'}" in said.output
    (tmp_path / "warehouse.duckdb").unlink()
    missing = CliRunner().invoke(main, options)
    assert missing.exit_code == 2 and "make run" in missing.output


def test_a_run_that_fails_marks_the_report_until_a_run_publishes(database, tmp_path, monkeypatch):
    workspace, landing = tmp_path / "ws", tmp_path / "landing"
    landing.mkdir()
    workspace.mkdir()
    shutil.copy2(database, workspace / "warehouse.duckdb")
    publish(workspace / "warehouse.duckdb", workspace / "serving")
    options = ["--landing", str(landing), "--workspace", str(workspace)]
    failure = {"kind": "model", "name": "fast_daily", "rows": None, "test": "", "message": "no"}

    def fail(*_):
        raise BuildError("the build failed", [failure])

    def content() -> dict:
        return json.loads((workspace / "reports" / "2026-06-30" / "north.json").read_text("utf-8"))

    monkeypatch.setattr("orchestration.__main__.run", fail)
    said = CliRunner().invoke(main, ["run", *options])
    assert said.exit_code == 1 and "the build failed" in said.output
    assert content()["hold"]["reasons"] == ["表 fast_daily 没有建成。"]
    # Writing it again does not make it look well.
    assert CliRunner().invoke(main, ["report", *options]).exit_code == 0
    assert content()["status"] == "held"
    green = Outcome(None, [], None, [], None)
    monkeypatch.setattr("orchestration.__main__.run", lambda *_: green)
    monkeypatch.setattr("orchestration.__main__.report_lines", lambda *_: [])
    said = CliRunner().invoke(main, ["run", *options])
    assert said.exit_code == 0, said.output
    assert content()["status"] == "ok" and content()["hold"] is None


def test_the_report_of_a_real_build_equals_direct_queries(warehouse, tmp_path):
    """The small demo world, built by dbt: every column the report reads exists and means what it says."""
    database = warehouse / "warehouse.duckdb"
    pages = write_reports(database, tmp_path)
    with duckdb.connect(str(database), read_only=True) as connection:
        names = brands(connection)
        assert len(pages) == len(names) + 1 > 1
        for brand in names:
            content = read(connection, brand)

            def ask(sql: str, brand: str = brand) -> tuple:
                return connection.execute(sql, [brand]).fetchone()

            day = "as_of_date = (select as_of_date from reference.as_of) and brand_id = ?"
            assert tuple(letter["value"] for letter in content["fast"]) == ask(
                "select fertility, advancing_rate, superiority, thriving_rate_30d from marts.fast_daily"
                f" where {day}"
            )
            assert all(letter["light"] in words.LIGHTS for letter in content["fast"])
            assert (
                sum(stage["customers"] for stage in content["funnel"])
                == content["fast"][0]["value"]
            )
            assert (
                sum(k["customers"] for k in content["rfm"]["classes"])
                == content["rfm"]["customers"]
            )
            people = ask(
                "select count(distinct customer_id) from marts.churn_warnings where brand_id = ?"
            )
            assert content["care"]["warning"] + content["care"]["churned"] == people[0]
        quarantined = connection.execute("select count(*) from audit.quarantine").fetchone()[0]
    assert sum(kind["rows"] for kind in content["quality"]["quarantine"]) == quarantined
    assert content["quality"]["rows"]["quarantined"] == quarantined


PROBE = """<script>addEventListener('load', () => {
  const shown = [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect()).filter(b => b.width);
  const inside = [...document.querySelectorAll('svg text')].filter(t => t.getClientRects().length).every(t => {
    const a = t.getBoundingClientRect(), b = t.closest('svg').getBoundingClientRect();
    return a.left >= b.left - 1 && a.right <= b.right + 1; });
  const cut = [...document.querySelectorAll('body *')].filter(e => getComputedStyle(e).overflowX != 'visible'
    && !e.closest('svg') && e.scrollWidth > e.clientWidth + 1).length;
  document.title = JSON.stringify({charts: shown.filter(b => b.height > 20).length, inside, cut,
    wide: document.documentElement.scrollWidth - innerWidth, width: innerWidth,
    requests: performance.getEntriesByType('resource').length}); });</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_in_a_browser_the_page_is_silent_draws_its_charts_and_nothing_is_cut(
    held_database, tmp_path, language
):
    """On a phone and a desktop: no console message, no request beyond the page itself, charts have a size, no text
    is cut off, no sideways scrolling.

    A probe is added to a copy of each page, because the page itself has no script.
    """
    kept_back = Hold("build", "2026-07-01", message="a long sentence of dbt " * 20)
    with duckdb.connect(str(held_database), read_only=True) as connection:
        pages = {
            "held": read(connection, "north", language),
            "kept_back": read(connection, "north", language, kept_back),
            "solo": read(connection, "solo", language),
            "void": read(connection, "void", language),
        }
    for name, content in pages.items():
        probed = render(content).replace("</body>", PROBE + "</body>")
        (tmp_path / f"{name}.html").write_text(probed)
    # Headless windows are at least 500 px wide, so the pages stand in frames of a phone's width.
    views = [(name, width) for name in pages for width in (375, 1180)]
    frame = tmp_path / "frame.html"
    frame.write_text(
        "".join(
            f'<iframe src="{name}.html" style="width:{width}px;height:20000px;border:0"></iframe>'
            for name, width in views
        )
        + "<script>addEventListener('load', () => document.body.dataset.found = JSON.stringify("
        "[...document.querySelectorAll('iframe')].map(f => JSON.parse(f.contentDocument.title))))</script>"
    )
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--allow-file-access-from-files", "--enable-logging=stderr", "--log-level=0"),
            *("--dump-dom", f"--user-data-dir={tmp_path / 'profile'}", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-found="([^"]*)"', done.stdout).group(1).replace("&quot;", '"')
    charts = {"held": 6, "kept_back": 6, "solo": 3, "void": 0}
    silent = {"inside": True, "cut": 0, "wide": 0, "requests": 0}
    assert json.loads(found) == [
        silent | {"charts": charts[name], "width": width} for name, width in views
    ]
    assert "CONSOLE" not in done.stderr
