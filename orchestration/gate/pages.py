"""Static pages of the gate's results, in the place of Great Expectations' Data Docs.

Great Expectations' own pages load styles, scripts and fonts from public CDNs and look broken
offline. These are rendered from the same result JSON, need no network and no script, and show
nothing but names, counts and reasons.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from orchestration.contract import Entity

# More would make a page of a broken first load unreadable; verdicts.json has them all.
BATCHES_SHOWN = 40
FAILURES_SHOWN = 20


def render(root: Path, contract: Mapping[str, Entity], load_number: int) -> Path:
    """Render the pages of one load and the index of all kept ones in `root`/docs; return it."""
    results, docs = root / "results", root / "docs"
    loads = sorted((int(p.name) for p in results.iterdir() if p.name.isdigit()), reverse=True)
    titles = {name: chinese_name(entity) for name, entity in contract.items()}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = _code
    summaries = [_summary(results / str(load), titles) for load in loads]
    current = next(summary for summary in summaries if summary["load"] == load_number)
    page = environment.get_template("entity.html.j2")
    for entity in current["entities"]:
        path = results / str(load_number) / f"{entity['name']}.json"
        outcomes = _outcomes(json.loads(path.read_text("utf-8"))) if path.exists() else []
        html = page.render(
            load=current,
            entity=entity,
            failed=[outcome for outcome in outcomes if outcome["failures"]],
            passed=[outcome for outcome in outcomes if not outcome["failures"]],
            batches_shown=BATCHES_SHOWN,
            failures_shown=FAILURES_SHOWN,
        )
        _replace(docs / str(load_number) / f"{entity['name']}.html", html)
    index = docs / "index.html"
    _replace(index, environment.get_template("index.html.j2").render(loads=summaries))
    for old in docs.iterdir():
        if old.is_dir() and int(old.name) not in loads:
            shutil.rmtree(old)
    return index


def chinese_name(entity: Entity) -> str:
    """The Chinese name that ends the entity's description, as in 'One row per order (订单).'"""
    match = re.search(r"\(([^()]*[\u4e00-\u9fff][^()]*)\)\W*$", entity.description)
    return match.group(1) if match else ""


def _summary(folder: Path, titles: Mapping[str, str]) -> dict:
    """One load's verdicts, grouped by entity and counted."""
    verdicts = json.loads((folder / "verdicts.json").read_text("utf-8"))
    entities: dict[str, dict] = {}
    for batch in verdicts["batches"]:
        name = batch["entity"]
        for field in ("reasons", "warnings"):  # the page says which entity and batch
            said = batch[field]
            prefix = f"{name} batch {batch['batch']}: "
            batch[field] = [text.removeprefix(prefix) for text in said]
        empty = {"name": name, "title": titles.get(name, ""), "rows": 0, "batches": 0}
        entity = entities.setdefault(name, empty | {"passed": 0, "warned": [], "held": []})
        entity["batches"] += 1
        entity["rows"] += batch["rows"]
        if batch["held"]:
            entity["held"].append(batch)
        elif batch["warnings"]:
            entity["warned"].append(batch)
        else:
            entity["passed"] += 1
    stamp = verdicts["judged_at"].replace("T", " ").replace("+00:00", " UTC")
    return {"load": verdicts["load"], "judged_at": stamp, "entities": list(entities.values())}


def _outcomes(result: dict) -> list[dict]:
    """What the page shows of each expectation of Great Expectations' result."""
    outcomes = []
    for outcome in result["results"]:
        config, found = outcome["expectation_config"], outcome["result"]
        measure = config["kwargs"]["column"]
        show = "{:.1%}".format if measure.endswith("_share") else "{:,.6g}".format
        outcomes.append(
            {
                "measure": _title(measure),
                "severity": config["severity"],
                "judged": found["element_count"] - found["missing_count"],
                "failures": [
                    {"batch": index["batch"], "value": show(index[measure])}
                    for index in found.get("unexpected_index_list") or ()
                ],
            }
            | {key: config["meta"][key] for key in ("allowed", "why", "do")}
        )
    return sorted(outcomes, key=lambda outcome: outcome["severity"])  # critical before warning


def _title(measure: str) -> str:
    """`order_id__too_long_share` as 'order_id · too long share'."""
    column, _, check = measure.rpartition("__")
    words = check.replace("_", " ")
    return f"{'any column' if column == 'any' else column} · {words}" if column else words


def _code(text: str) -> Markup:
    """The text, escaped, with `names` in the type of code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
