"""Content into HTML: one page per brand and day, and an index. No script, no request, no clock."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from orchestration.report import words
from orchestration.report.alluvial import alluvial
from orchestration.report.content import FEW, Content, worst_light
from orchestration.report.words import LANGUAGES, texts

TEMPLATES = Path(__file__).with_name("templates")


def render(content: Content) -> str:
    """The report of one brand and day as a page that needs nothing else. The same content gives the same bytes."""
    from orchestration.report import charts

    language = content["language"]
    said = texts(language)
    stock, flow = content["stock"], content["flow"]
    if stock and sum(max(stage["customers"]) for stage in stock["stages"]) < FEW:
        stock = None
    if flow and sum(flow["totals"].values()) < FEW:
        flow = None
    pictures: dict[str, Markup | None] = {
        f"trend_{letter['letter']}": charts.sparkline(letter["trend"], letter["light"])
        for letter in content["fast"]
        if len(letter["trend"]) > 1
    }
    # Text in a picture that shrinks with the page cannot be read on a phone: each is drawn for both widths.
    for size, width, height in (("wide", 900, 300), ("narrow", 290, 220)):
        pictures[f"stock_{size}"] = stock and charts.stock(stock, width, height, language)
    for size, width, height in (("wide", 640, 430), ("narrow", 340, 400)):
        pictures[f"flow_{size}"] = flow and alluvial(flow, said, width=width, height=height)
    page = _environment(language).get_template("report.html.j2")
    return page.render(c=content, said=said, pictures=pictures, few=FEW, lang=_tag(language))


def render_index(days: list[tuple[str, list[Content]]], language: str) -> str:
    """Every day with its brands and their lights, newest first. Each day is (ISO day, contents)."""
    page = _environment(language).get_template("index.html.j2")
    rows = [
        (
            day,
            [
                {"c": c, "worst": worst_light(c), "file": f"{day}/{file_name(c['brand'])}.html"}
                for c in contents
            ],
        )
        for day, contents in days
    ]
    return page.render(days=rows, said=texts(language), lang=_tag(language))


def file_name(brand: str) -> str:
    """The brand as a file name; one that cannot be a file name gets a hash, so that no two share a file."""
    safe = re.sub(r"[^\w-]+", "_", brand).strip("_")[:60]
    if safe == brand and safe.lower() != "index":
        return safe
    return f"{safe or 'brand'}-{hashlib.sha256(brand.encode()).hexdigest()[:8]}"


def _tag(language: str) -> str:
    return {"zh": "zh-CN", "en": "en"}[language]


def _environment(language: str) -> jinja2.Environment:
    if language not in LANGUAGES:
        raise ValueError(f"the report speaks {' and '.join(LANGUAGES)}, not {language!r}")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["style"] = Markup((TEMPLATES / "report.css").read_text("utf-8"))
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "signed": words.signed,
        "signed_percent": words.signed_percent,
        "money": lambda value: words.money(value, language),
        "day": lambda value: words.day(value, language),
        "full_day": lambda value: words.day(value, language, with_year=True),
        "code": lambda text: Markup(
            re.sub(r"`([^`]*)`", r"<code>\1</code>", str(Markup.escape(text)))
        ),
    }
    return environment
