"""What a report says: the marts of one brand on one day, read into plain, JSON-able data.

Nothing about a single person is read: only counts, sums, stages, batches and the staff who own customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from math import sqrt
from typing import Any

import duckdb

from orchestration.contract import load_contract
from orchestration.gate.pages import chinese_name
from orchestration.hold import Hold
from orchestration.report.words import (
    LIGHTS,
    QUARANTINE_KINDS,
    change_text,
    failure_in_words,
    held_in_words,
    masked,
    number,
    percent,
    signed,
    texts,
    value_text,
)
from orchestration.report.words import day as day_in_words

STAGE_MODEL = "aipl"
STOCK_DAYS = 180
TREND_DAYS = 30
# Fewer people than this are no basis for a verdict or a picture.
FEW = 10
HELD_SHOWN = 12
OWNERS_SHOWN = 8
DRIVERS_SHOWN = 2
# Dimensions of fast_drivers that tell a step together; each other one is told alone.
STEP_DIMENSIONS = ("driver", "stage", "cause")
# The order in which people are won; goals of one's own (seed star_goals) come after them.
GOALS = ("acquisition", "pooling", "seeding", "conversion")
UNNAMED = ("", "all", "none", "rate", "unknown", None)

# FAST metric: numerator and denominator columns of a rate; nothing for a head-count.
METRICS: dict[str, tuple[str, str] | None] = {
    "fertility": None,
    "fertility_active": None,
    "advancing_rate": ("advancing_deepened", "advancing_base"),
    "advancing_rate_without_l": ("advancing_deepened", "advancing_base_without_l"),
    "superiority": None,
    "superiority_super": None,
    "thriving_rate_30d": ("thriving_active_30d", "superiority"),
    "thriving_rate_180d": ("thriving_active_180d", "superiority"),
}
DEFAULT_METRICS = {
    "F": "fertility",
    "A": "advancing_rate",
    "S": "superiority",
    "T": "thriving_rate_30d",
}
CAMPAIGNS_SHOWN = 8
# AARRR step: figure: how a week of aarrr_daily becomes it, and from which columns. `sum` and `money` add the days up,
# `rate` divides the sums of two columns, `day` and `day_rate` are those of the last day.
AARRR: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "acquisition": {
        "new_customers": ("sum", ("new_customers",)),
        "registrations": ("sum", ("registrations",)),
        "cac": ("money_per", ("acquisition_cost_amount", "new_customers")),
    },
    "activation": {
        "activation_rate": ("rate", ("activated", "activation_base")),
        "logins": ("sum", ("logins",)),
    },
    "retention": {
        "dau": ("day", ("dau",)),
        "mau": ("day", ("mau",)),
        "stickiness": ("day_rate", ("stickiness_rate",)),
    },
    "revenue": {
        "net_amount": ("money", ("net_amount",)),
        "buyers": ("day", ("buyers_365d",)),
        "repurchase": ("day_rate", ("repurchase_rate_365d",)),
    },
    "referral": {
        "invites": ("sum", ("invites",)),
        "accepted": ("sum", ("accepted_invites",)),
    },
}
RFM_ORDER = ("111", "011", "101", "001", "110", "010", "100", "000")

Content = dict[str, Any]
Row = dict[str, Any]


def brands(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Brands with anything in the warehouse, in alphabetical order."""
    marts = Marts(connection)
    found: set[str] = set()
    for table in ("marts.fast_daily", "marts.customers", "lifecycle.fct_orders"):
        found |= {
            row["brand_id"] for row in marts.ask(table, f"select distinct brand_id from {table}")
        }
    return sorted(brand for brand in found if brand is not None)


def as_of(connection: duckdb.DuckDBPyConnection) -> date | None:
    """Day that the warehouse looks at; None before anything has landed."""
    rows = Marts(connection).ask("reference.as_of", "select as_of_date from reference.as_of")
    return rows[0]["as_of_date"] if rows else None


def read(
    connection: duckdb.DuckDBPyConnection,
    brand: str,
    language: str = "zh",
    hold: Hold | None = None,
) -> Content:
    """Everything the report of a brand says on the warehouse's day, in one language ('zh' or 'en').

    Days are ISO text, rates are shares of 1, money is in the brand's currency. A part without data is None or
    empty; a table that is missing counts as empty. `hold` says why the figures are not newer. Raises ValueError for
    a language the report does not speak.
    """
    said = texts(language)
    day = as_of(connection)
    if day is None:
        raise ValueError("the warehouse has no as-of date: build it first (make run)")
    reader = _Reader(Marts(connection), brand, day, language, said)
    stock, flow = reader.stock(), reader.flow()
    fast = reader.fast(flow)
    held, held_count = reader.held(hold)
    kept_back = hold and held_back(hold, day, said, language)
    empty = all(letter["value"] in (None, 0) for letter in fast)
    status = "held" if hold or held_count else "empty" if empty else "ok"
    return {
        "format": 1,
        "brand": brand,
        "as_of": day.isoformat(),
        "language": language,
        "status": status,
        "headline": (kept_back["headline"] + said["space"] if kept_back else "")
        + headline(fast, empty, bool(held_count and not hold), said),
        "hold": kept_back,
        "held": held,
        "held_count": held_count,
        "fast": fast,
        "stock": stock,
        "flow": flow,
        "funnel": reader.stages(STAGE_MODEL),
        "five_r": reader.stages("five_r"),
        "star": reader.star(),
        "aarrr": reader.aarrr(),
        "campaigns": reader.campaigns(),
        "rfm": reader.rfm(),
        "lifecycle": reader.stages("lifecycle"),
        "care": reader.care(),
        "quality": reader.quality(),
        "identity": reader.identity(),
    }


def held_back(hold: Hold, shown: date, said: dict[str, str], language: str) -> Row:
    """Why a day was not published, in plain words; `shown` is the day whose figures stand in for it."""
    days = {
        "day": day_in_words(hold.day, language),
        "shown": day_in_words(shown.isoformat(), language),
    }
    failures = [failure_in_words(failure, language) for failure in hold.failures]
    sentences = [f"{failure['name']}: {failure['message']}" for failure in hold.failures]
    if not failures and hold.message:
        sentences = hold.message.splitlines()
    return {
        "kind": hold.kind,
        "day": hold.day,
        "headline": said["headline_hold"].format(**days),
        "title": said["hold_title"].format(**days),
        "lead": said[f"hold_{hold.kind}"].format(**days),
        "reasons": [masked(text) for text in dict.fromkeys(failures)][:HELD_SHOWN],
        "sentences": [masked(text) for text in sentences][:HELD_SHOWN],
    }


def headline(fast: list[Row], empty: bool, held: bool, said: dict[str, str]) -> str:
    """The day in a sentence or two."""
    if empty:
        parts = [said["headline_empty"]]
    else:
        lights = [letter["light"] for letter in fast]
        parts = []
        for light in ("red", "amber"):
            names = [f"{x['letter']} {x['name']}" for x in fast if x["light"] == light]
            if names:
                parts.append(said[f"headline_{light}"].format(names=said["joiner"].join(names)))
        unjudged = [f"{x['letter']} {x['name']}" for x in fast if x["light"] == "none"]
        if len(unjudged) == len(fast):
            parts = [said["headline_none"]]
        elif unjudged:
            parts.append(said["headline_unjudged"].format(names=said["joiner"].join(unjudged)))
        elif not parts:
            parts = [said["headline_green"]]
        elif "green" in lights:
            parts.append(said["headline_rest"])
    if held:
        parts.append(said["headline_held"])
    return said["space"].join(parts)


def light_of(
    relative_change: float | None, limits: list[Row], z: float | None
) -> tuple[str, Row | None, bool]:
    """Light, its row of the seed, and whether chance has softened it.

    `limits` are the rows of one metric; `z` is the change in standard errors, None for a head-count. The best
    light whose limit the change reaches shines; a red within `chance_z` standard errors is amber.
    """
    rows = {row["light"]: row for row in limits}
    if relative_change is None or not rows:
        return "none", None, False
    change = (
        -relative_change if next(iter(rows.values()))["direction"] == "down" else relative_change
    )
    for light in ("green", "amber", "red"):
        row = rows.get(light)
        # Shares of two days differ by rounding: a limit that is met exactly is met.
        if row and (row["limit_change"] is None or change >= row["limit_change"] - 1e-9):
            by_chance = light == "red" and z is not None and row["chance_z"] is not None
            if by_chance and abs(z) < row["chance_z"] and "amber" in rows:
                return "amber", rows["amber"], True
            return light, row, False
    return "none", None, False


def z_of(now: tuple[int, int], before: tuple[int, int]) -> float | None:
    """Difference of two shares (count, base) in standard errors of the pooled share."""
    bases = now[1], before[1]
    if not all(bases):
        return None
    pooled = (now[0] + before[0]) / sum(bases)
    error = sqrt(pooled * (1 - pooled) * (1 / bases[0] + 1 / bases[1]))
    return (now[0] / now[1] - before[0] / before[1]) / error if error else 0.0


@cache
def entity_names(language: str) -> dict[str, str]:
    """Name of each landed entity, from the landing contract."""
    if language == "zh":
        return {name: chinese_name(entity) or name for name, entity in load_contract().items()}
    return {name: name.replace("_", " ").capitalize() for name in load_contract()}


class Marts:
    """A warehouse or a published copy of it; a table that is not there has no rows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.tables = {
            f"{schema}.{name}"
            for schema, name in connection.execute(
                "select table_schema, table_name from information_schema.tables"
                " where table_catalog = current_database()"
            ).fetchall()
        }

    def ask(self, table: str, sql: str, parameters: list | None = None) -> list[Row]:
        """Rows of a query on `table`, by column name."""
        if table not in self.tables:
            return []
        result = self.connection.execute(sql, parameters or [])
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@dataclass(frozen=True)
class _Reader:
    marts: Marts
    brand: str
    day: date
    language: str
    said: dict[str, str]

    @property
    def week_ago(self) -> date:
        return self.day - timedelta(days=7)

    def stage_names(self, model: str) -> dict[str, str]:
        """Name of each stage, shallowest first."""
        rows = self.marts.ask(
            "reference.stages",
            f"select stage, name_{self.language} as name from reference.stages where model = ? order by rank",
            [model],
        )
        return {row["stage"]: row["name"] for row in rows}

    def member_stage_names(self, metric: str) -> dict[str, str]:
        """Name of each stage of the models of members behind a metric, such as live members."""
        days = "180d" if metric.endswith("180d") else "30d"
        return self.stage_names("fast_super") | self.stage_names(f"fast_members_{days}")

    def fast(self, flow: Row | None) -> list[Row]:
        """A verdict per letter of FAST."""
        by_day = {
            row["as_of_date"]: row
            for row in self.marts.ask(
                "marts.fast_daily",
                "select * from marts.fast_daily where brand_id = ? and as_of_date between ? and ? order by as_of_date",
                [self.brand, self.day - timedelta(days=TREND_DAYS - 1), self.day],
            )
        }
        now, before = by_day.get(self.day), by_day.get(self.week_ago)
        limits = self.limits()
        verdicts = []
        for letter, default in DEFAULT_METRICS.items():
            rows = limits.get(letter, [])
            metric = rows[0]["metric"] if rows else default
            trend = [[at.isoformat(), row[metric]] for at, row in by_day.items()]
            verdict = self.verdict(letter, metric, rows, now, before, flow)
            verdict["drivers"] = self.drivers(
                metric, verdict["change"], METRICS[metric] is not None
            )
            verdicts.append(verdict | {"trend": [point for point in trend if point[1] is not None]})
        return verdicts

    def limits(self) -> dict[str, list[Row]]:
        """Rows of the seed by letter: the brand's own, else those of every brand."""
        rows = self.marts.ask(
            "reference.report_thresholds",
            "select * from reference.report_thresholds where brand_id in (?, '*') order by brand_id, letter, light",
            [self.brand],
        )
        own = {row["letter"] for row in rows if row["brand_id"] == self.brand}
        by_letter: dict[str, list[Row]] = {}
        for row in rows:
            if (row["brand_id"] == self.brand) == (row["letter"] in own):
                by_letter.setdefault(row["letter"], []).append(row)
        return by_letter

    def verdict(
        self,
        letter: str,
        metric: str,
        limits: list[Row],
        now: Row | None,
        before: Row | None,
        flow: Row | None,
    ) -> Row:
        value = now and now[metric]
        previous = before and before[metric]
        parts = METRICS[metric]
        z = None
        if parts and now and before:
            z = z_of(*((row[parts[0]], row[parts[1]]) for row in (now, before)))
        change = value - previous if value is not None and previous is not None else None
        relative = change / previous if change is not None and previous else None
        light, row, softened = light_of(relative, limits, z)
        if relative is None and change:  # from nothing to something
            light, row, softened = light_of(1.0, limits, None)
        reason = [self.reason(letter, metric, now, before, flow)]
        base = (now[parts[1]] if parts else value) if value is not None else 0
        if value is not None and max(base, 0 if parts else previous or 0) < FEW:
            light, row, softened = "none", None, False
            reason.append(self.said["few"].format(few=FEW))
        if value is None:
            reason = [self.said.get(f"no_value_{letter}", self.said["no_value"])]
        elif previous is None:
            reason.append(self.said["no_before"])
        elif not limits:
            reason.append(self.said["no_limits"])
        if softened:
            reason.append(self.said["chance"])
        return {
            "letter": letter,
            "name": self.said[f"letter_{letter}"],
            "explained": self.said[
                "explain_T_180" if metric == "thriving_rate_180d" else f"explain_{letter}"
            ],
            "metric": metric,
            "is_rate": parts is not None,
            "value": value,
            "value_text": value_text(value, parts is not None),
            "numerator": now[parts[0]] if parts and now else None,
            "denominator": now[parts[1]] if parts and now else None,
            "week_ago": previous,
            "change": change,
            "relative_change": relative,
            "change_text": change_text(change, relative, parts is not None, self.said["points"]),
            "light": light,
            "reason": self.said["space"].join(text for text in reason if text),
            "action": row[f"action_{self.language}"] if row else None,
        }

    def reason(
        self, letter: str, metric: str, now: Row | None, before: Row | None, flow: Row | None
    ) -> str:
        """What lies behind the value, in figures."""
        if now is None:
            return ""
        if letter == "F":
            totals = flow["totals"] if flow else {}
            return self.said["reason_F"].format(
                new=number(totals.get("new", 0)), lost=number(totals.get("lost", 0))
            )
        if letter == "A":
            counts = {
                "base": number(now["advancing_base"]),
                "deepened": number(now["advancing_deepened"]),
            }
            if before is None or before["advancing_rate"] is None:
                return self.said["reason_A_new"].format(**counts)
            text = self.said["reason_A"].format(
                **counts, before=number(before["advancing_deepened"])
            )
            falls = [
                (
                    (before[f"advancing_rate_{stage}"] or 0)
                    - (now[f"advancing_rate_{stage}"] or 0),
                    stage,
                )
                for stage in "aip"
            ]
            fall, stage = max(falls)
            if fall > 0 and (now["advancing_rate"] or 0) < before["advancing_rate"]:
                text += self.said["space"] + self.said["reason_A_step"].format(
                    stage=stage.upper(),
                    rate=percent(now[f"advancing_rate_{stage}"]),
                    before=percent(before[f"advancing_rate_{stage}"]),
                )
            return text
        if letter == "S":
            return self.said["reason_S"].format(all=number(now["superiority_super"]))
        return self.said["reason_T"].format(
            active=number(now[METRICS[metric][0]]), total=number(now["superiority"])
        )

    def drivers(self, metric: str, change: float | None, is_rate: bool) -> list[Row]:
        """What moved a metric most in the week, in its direction; without a change the largest either way.

        First the steps (who entered or left which stage, and why), then the one value of every other dimension that
        weighs most. The dimensions are whatever columns fast_drivers has beside the known ones, so a new one needs
        no code here.
        """
        table = "marts.fast_drivers"
        fixed = ("brand_id", "as_of_date", "metric", "contribution")
        columns = self.marts.ask(table, f"select column_name from (describe {table})")
        dimensions = [row["column_name"] for row in columns if row["column_name"] not in fixed]
        if change is None or not dimensions:
            return []
        steps = [name for name in dimensions if name in STEP_DIMENSIONS]
        found = self.weighed(metric, steps, change)[:DRIVERS_SHOWN]
        for name in dimensions:
            if name not in steps:
                weighed = self.weighed(metric, [name], change)
                found += [row for row in weighed[:1] if row[name] not in UNNAMED]
        for row in found:
            row["text"] = masked(
                self.step_in_words(metric, row)
                if "driver" in row
                else next(self.driver_word(name, row[name]) for name in row if name in dimensions)
            )
            row["by_text"] = signed(row["by"] * 100, 2) if is_rate else signed(row["by"])
        return found

    def step_in_words(self, metric: str, row: Row) -> str:
        """A step of fast_drivers (driver, stage, cause) as words; those of the metric's family where there are any."""
        family, driver = metric.split("_")[0], row["driver"]
        pattern = self.said.get(
            f"driver_{driver}_{family}", self.said.get(f"driver_{driver}", driver)
        )
        code = row.get("stage") or ""
        name = self.stage_names(STAGE_MODEL).get(code)
        stage = f"{code} {name}" if name else self.member_stage_names(metric).get(code, code)
        cause = row.get("cause") or ""
        return pattern.format(
            stage=self.said["any_stage"] if code in UNNAMED else stage
        ) + self.said.get(f"cause_{cause}", "")

    def weighed(self, metric: str, dimensions: list[str], change: float) -> list[Row]:
        """Contributions of the week by some dimensions, the largest in the direction of the change first."""
        named = ", ".join(f'"{name}"' for name in dimensions)
        rows = self.marts.ask(
            "marts.fast_drivers",
            f"select {named}, sum(contribution) as by from marts.fast_drivers"
            " where brand_id = ? and metric = ? and as_of_date > ? and as_of_date <= ?"
            f" group by {named} having abs(sum(contribution)) > 1e-9 order by {named}",
            [self.brand, metric, self.week_ago, self.day],
        )
        chosen = [row for row in rows if not change or (row["by"] > 0) == (change > 0)]
        return sorted(chosen, key=lambda row: -abs(row["by"]))

    def driver_word(self, dimension: str, value: str) -> str:
        """A value of a dimension of fast_drivers beyond the steps, with the dimension's name."""
        if dimension.endswith("channel"):
            value = self.channel_names().get(value, value)
        elif dimension == "behaviour":
            value = self.behaviour_names().get(value, value.replace("_", " "))
        label = self.said.get(f"dimension_{dimension}", dimension.replace("_", " "))
        return self.said["by_dimension"].format(dimension=label, value=value)

    def channel_names(self) -> dict[str, str]:
        """Name of each channel; one that has none is called by its code."""
        rows = self.marts.ask(
            "reference.channels",
            f"select channel, name_{self.language} as name from reference.channels",
        )
        return {row["channel"]: row["name"] or row["channel"].replace("_", " ") for row in rows}

    def behaviour_names(self) -> dict[str, str]:
        """Name of each behaviour that may drive a figure."""
        rows = self.marts.ask(
            "reference.event_types",
            f"select event_type, name_{self.language} as name from reference.event_types",
        )
        return {row["event_type"]: row["name"] for row in rows} | {
            "purchase": self.said["behaviour_purchase"],
            "join": self.said["behaviour_join"],
            "other": self.said["behaviour_other"],
        }

    def restated(self) -> list[Row]:
        """Published figures of the last 30 days that have changed since, by metric: days, and the largest change."""
        return self.marts.ask(
            "audit.restatements",
            """
            select
                metric,
                count(distinct as_of_date) as days,
                max(abs(change)) as largest
            from audit.restatements
            where brand_id = ? and as_of_date > ? and as_of_date <= ?
            group by metric
            order by days desc, metric
            """,
            [self.brand, self.day - timedelta(days=TREND_DAYS), self.day],
        )

    def stock(self) -> Row | None:
        """Customers per day and stage over the last half year; None with fewer than two days."""
        rows = self.marts.ask(
            "marts.stage_daily",
            "select as_of_date, stage, stage_rank, customers from marts.stage_daily"
            " where model = ? and brand_id = ? and as_of_date between ? and ? order by as_of_date, stage_rank",
            [STAGE_MODEL, self.brand, self.day - timedelta(days=STOCK_DAYS - 1), self.day],
        )
        days = sorted({row["as_of_date"] for row in rows})
        if len(days) < 2 or not any(row["customers"] for row in rows):
            return None
        names = self.stage_names(STAGE_MODEL)
        counts: dict[str, dict[date, int]] = {}
        for row in rows:
            counts.setdefault(row["stage"], {})[row["as_of_date"]] = row["customers"]
        promotions = self.marts.ask(
            "reference.promotion_calendar",
            f"select name_{self.language} as name, starts_on, ends_on from reference.promotion_calendar"
            " where brand_id in (?, '*') and ends_on >= ? and starts_on <= ? order by starts_on, promotion_id",
            [self.brand, days[0], self.day],
        )
        return {
            "days": [at.isoformat() for at in days],
            "stages": [
                {
                    "stage": s,
                    "name": names.get(s, s),
                    "customers": [by_day.get(at, 0) for at in days],
                }
                for s, by_day in counts.items()
            ],
            "promotions": [
                {
                    "name": row["name"],
                    "from": max(row["starts_on"], days[0]).isoformat(),
                    "to": min(row["ends_on"], self.day).isoformat(),
                }
                for row in promotions
            ],
        }

    def flow(self) -> Row | None:
        """Movement between a week ago and today; None when nobody was in any stage."""
        rows = self.marts.ask(
            "marts.stage_flows",
            "select from_stage, to_stage, direction, customers, flow_rate from marts.stage_flows"
            " where model = ? and brand_id = ? and horizon_days = 7 and to_date = ? order by from_stage, to_stage",
            [STAGE_MODEL, self.brand, self.day],
        )
        if not rows:
            return None
        totals = dict.fromkeys(("new", "forward", "stayed", "backward", "lost"), 0)
        for row in rows:
            totals[row["direction"]] += row["customers"]
        names = self.stage_names(STAGE_MODEL)
        return {
            "from": self.week_ago.isoformat(),
            "to": self.day.isoformat(),
            "stages": [{"stage": stage, "name": name} for stage, name in names.items()],
            "cells": rows,
            "totals": totals,
        }

    def stages(self, model: str) -> list[Row]:
        """Stages of a model today, shallowest first, with the change in a week; empty when nobody is in one."""
        rows = self.marts.ask(
            "marts.stage_daily",
            """
            select
                today.stage,
                today.customers,
                today.customer_share as share,
                today.customers - before.customers as change
            from marts.stage_daily as today
            left join marts.stage_daily as before
                on today.model = before.model
                and today.brand_id = before.brand_id
                and today.stage = before.stage
                and before.as_of_date = ?
            where today.model = ? and today.brand_id = ? and today.as_of_date = ?
            order by today.stage_rank
            """,
            [self.week_ago, model, self.brand, self.day],
        )
        if not any(row["customers"] for row in rows):
            return []
        journeys = {
            row["stage"]: row
            for row in self.marts.ask(
                "marts.stage_journeys",
                "select stage, forward_rate, median_days_to_next, is_leak_point from marts.stage_journeys"
                " where model = ? and brand_id = ?",
                [model, self.brand],
            )
        }
        names = self.stage_names(model)
        deepest = rows[-1]["stage"]
        for row in rows:
            journey = journeys.get(row["stage"], {})
            is_deepest = row["stage"] == deepest
            row["name"] = names.get(row["stage"], row["stage"])
            row["forward_rate"] = None if is_deepest else journey.get("forward_rate")
            row["days_to_next"] = journey.get("median_days_to_next")
            row["is_leak"] = bool(journey.get("is_leak_point"))
        return rows

    def star(self) -> Row | None:
        """STAR of the last complete month, else of the running one: a row per layer of 5R, and the goals; None without
        a month."""
        months = self.marts.ask(
            "marts.star_triangulating",
            "select period_id, max(last_on) as last_on, bool_and(is_complete) as is_complete"
            " from marts.star_triangulating where brand_id = ? and period_kind = 'month' and last_on <= ?"
            " group by period_id order by is_complete desc, last_on desc limit 1",
            [self.brand, self.day],
        )
        if not months:
            return None
        where = [self.brand, months[0]["period_id"]]
        one_month = "brand_id = ? and period_kind = 'month' and period_id = ?"
        moved = self.marts.ask(
            "marts.star_activating",
            "select layer, forward_rate, lost_rate, active_rate from marts.star_activating"
            f" where {one_month}",
            where,
        )
        money = self.marts.ask(
            "marts.star_returning",
            "select layer, buyers, conversion_rate, cast(net_amount as double) as money"
            f" from marts.star_returning where {one_month}",
            where,
        )
        by_layer = {row["layer"]: row for row in moved}
        money_by_layer = {row["layer"]: row for row in money}
        names = self.stage_names("five_r")
        layers = self.marts.ask(
            "marts.star_triangulating",
            "select layer, customers, member_share, reachable_share, repeat_buyer_share"
            f" from marts.star_triangulating where {one_month} and layer like 'R%' order by layer desc",
            where,
        )
        nothing = dict.fromkeys(("forward_rate", "lost_rate", "active_rate"))
        nobody = dict.fromkeys(("buyers", "conversion_rate", "money"))
        for row in layers:
            row["name"] = names.get(row["layer"], row["layer"])
            row |= nothing | nobody
            row |= by_layer.get(row["layer"], {}) | money_by_layer.get(row["layer"], {})
        goals = self.marts.ask(
            "marts.star_goal_flows",
            "select goal, name_zh as name, customers, base_customers, flow_rate from marts.star_goal_flows"
            f" where {one_month} order by array_position({list(GOALS)}, goal), goal",
            where,
        )
        for row in goals:
            if self.language == "en":
                row["name"] = self.said.get(f"goal_{row['goal']}", row["goal"])
        return {
            "month": months[0]["period_id"],
            "is_complete": months[0]["is_complete"],
            "layers": layers,
            "goals": goals,
        }

    def aarrr(self) -> list[Row]:
        """The five steps of AARRR: figures of the last seven days, or of the day, against those of a week before."""
        rows = self.marts.ask(
            "marts.aarrr_daily",
            "select * from marts.aarrr_daily"
            " where brand_id = ? and channel = 'all' and as_of_date > ? and as_of_date <= ?"
            " order by as_of_date",
            [self.brand, self.day - timedelta(days=14), self.day],
        )
        if not any(row["as_of_date"] == self.day for row in rows):
            return []
        weeks = (
            [row for row in rows if row["as_of_date"] > self.week_ago],
            [row for row in rows if row["as_of_date"] <= self.week_ago],
        )
        steps = []
        for step, figures in AARRR.items():
            shown = []
            for name, (kind, parts) in figures.items():
                now, before = (_figure(kind, parts, week) for week in weeks)
                change = now - before if now is not None and before is not None else None
                shown.append(
                    {"name": self.said[f"aarrr_{name}"], "kind": kind, "value": now}
                    | {"week_ago": before, "change": change}
                )
            steps.append({"step": step, "name": self.said[f"step_{step}"], "figures": shown})
        return steps

    def campaigns(self) -> Row | None:
        """Campaigns that run on the day, dearest first; None without the table or any campaign."""
        table = "marts.campaign_performance"
        known = self.marts.ask(
            table, f"select count(*) as n from {table} where brand_id = ?", [self.brand]
        )
        if not known or not known[0]["n"]:
            return None
        rows = self.marts.ask(
            table,
            f"""
            select
                campaign_name as name,
                scenario,
                starts_on,
                ends_on,
                cast(budget_amount as double) as budget,
                cast(cost_amount as double) as cost,
                reached_customers as reached,
                buyers,
                new_buyers,
                cast(net_amount as double) as money,
                roas
            from {table}
            where brand_id = ? and starts_on <= ? and ends_on >= ?
            order by cost desc nulls last, campaign_id
            """,
            [self.brand, self.day, self.day],
        )
        for row in rows:
            row["name"] = masked(row["name"] or "")
            row["scenario"] = self.said.get(f"scenario_{row['scenario']}", row["scenario"])
            row["days_left"] = (row["ends_on"] - self.day).days
            row["starts_on"], row["ends_on"] = (
                row[end].isoformat() for end in ("starts_on", "ends_on")
            )
        return {"running": rows[:CAMPAIGNS_SHOWN], "count": len(rows)}

    def rfm(self) -> Row | None:
        """The eight classes in scope `all`; None without a scored customer."""
        rows = {
            row["code"]: row
            for row in self.marts.ask(
                "marts.rfm_segments",
                f"""
                select
                    rfm_code as code,
                    {"rfm_class" if self.language == "zh" else "rfm_class_en"} as name,
                    strategy_{self.language} as strategy,
                    customers,
                    customer_rate as share,
                    cast(monetary_amount as double) as money,
                    monetary_rate as money_share,
                    cast(amount_per_customer as double) as money_per_customer,
                    scored_customers,
                    cast(total_monetary_amount as double) as total_money
                from marts.rfm_segments
                where is_as_of and scope = 'all' and brand_id = ?
                """,
                [self.brand],
            )
        }
        totals = [(row.pop("scored_customers"), row.pop("total_money")) for row in rows.values()]
        if not totals or not totals[0][0]:
            return None
        for row in self.marts.ask(
            "reference.rfm_classes",
            f"select rfm_code as code, {'rfm_class' if self.language == 'zh' else 'rfm_class_en'} as name,"
            f" strategy_{self.language} as strategy from reference.rfm_classes",
        ):
            nobody = {"customers": 0, "share": 0.0, "money": 0.0, "money_share": 0.0}
            rows.setdefault(row["code"], row | nobody | {"money_per_customer": None})
        known = [rows[code] for code in RFM_ORDER if code in rows]
        return {"customers": totals[0][0], "money": totals[0][1], "classes": known}

    def care(self) -> Row | None:
        """Customers due, left alone, at risk and lost, in all and by owner; None when there are none."""
        due = self.marts.ask(
            "marts.repurchase_reminders",
            """
            select
                owner_id,
                count(distinct customer_id) filter (suppressed_reason is null) as due,
                count(distinct customer_id) filter (suppressed_reason is null and is_high_value) as due_high_value,
                count(distinct customer_id) filter (suppressed_reason is not null) as suppressed
            from marts.repurchase_reminders
            where brand_id = ?
            group by owner_id
            """,
            [self.brand],
        )
        risk = self.marts.ask(
            "marts.churn_warnings",
            """
            select
                owner_id,
                count(*) filter (band = 'warning') as warning,
                count(*) filter (band = 'warning' and is_high_value) as warning_high_value,
                count(*) filter (band = 'churned') as churned,
                count(*) filter (band = 'churned' and is_high_value) as churned_high_value
            from marts.churn_warnings
            where brand_id = ?
            group by owner_id
            """,
            [self.brand],
        )
        figures = ("due", "suppressed", "warning", "churned")
        kinds = (*figures, "due_high_value", "warning_high_value", "churned_high_value")
        owners: dict[str | None, Row] = {}
        for row in due + risk:
            owner = owners.setdefault(row["owner_id"], dict.fromkeys(kinds, 0))
            for kind in kinds:
                owner[kind] += row.get(kind) or 0
        if not owners:
            return None
        totals = {kind: sum(owner[kind] for owner in owners.values()) for kind in kinds}
        unowned = owners.pop(None, None)
        ranked = sorted(
            owners.items(), key=lambda item: (-item[1]["due"], -item[1]["warning"], item[0])
        )
        shown = [
            {"owner": masked(name)} | {kind: row[kind] for kind in figures}
            for name, row in ranked[:OWNERS_SHOWN]
        ]
        rest = [row for _, row in ranked[OWNERS_SHOWN:]]
        return totals | {
            "owners": shown,
            "unowned": unowned and {kind: unowned[kind] for kind in figures},
            "others": len(rest),
            "others_total": {kind: sum(row[kind] for row in rest) for kind in figures},
        }

    def last_batch_day(self) -> date | None:
        """Last day of batches that matter: the day itself when it was chosen, else none, because a held batch that is
        newer than every admitted one is why the day is not newer."""
        source = self.marts.ask("reference.as_of", "select as_of_source from reference.as_of")
        return self.day if source and source[0]["as_of_source"] == "chosen" else None

    def held(self, hold: Hold | None) -> tuple[list[Row], int]:
        """Batches held, newest first, with their reasons in plain words; and how many there are. Of a day that is
        kept back those for whose sake it is: nothing later has been built."""
        rows = list(hold.batches) if hold else self.held_by_the_gate()
        titles = entity_names(self.language)
        shown = []
        for row in rows[:HELD_SHOWN]:
            prefix = f"{row['entity']} batch {row['batch']}: "
            sentences = [
                masked(line.removeprefix(prefix))
                for line in (row["reasons"] or "").splitlines()
                if line
            ]
            plain = dict.fromkeys(held_in_words(line, self.language) for line in sentences)
            shown.append(
                {
                    "entity": row["entity"],
                    "name": titles.get(row["entity"], row["entity"]),
                    "batch": row["batch"],
                    "is_redelivery": row["status"] != "held",
                    "reasons": list(plain),
                    "sentences": [line for line in sentences if line not in plain],
                }
            )
        return shown, len(rows)

    def held_by_the_gate(self) -> list[Row]:
        """Every batch on hold, newest first."""
        return self.marts.ask(
            "audit.batches",
            """
            select entity, batch, status, coalesce(held_reasons, reasons) as reasons
            from audit.batches
            where (status = 'held' or held_reasons is not null)
                and (batch_date is null or batch_date <= coalesce(?, batch_date))
            order by batch_date desc nulls last, entity, batch
            """,
            [self.last_batch_day()],
        )

    def quality(self) -> Row | None:
        """Batches, freshness, quarantine and conservation; None without audit tables."""
        batches = self.marts.ask(
            "audit.batches",
            """
            select
                entity,
                count(*) filter (status = 'admitted') as admitted,
                count(*) filter (status = 'held' or held_reasons is not null) as held,
                count(*) filter (batch_date = ?) as today,
                count(*) filter (warnings is not null and batch_date = ?) as warned_today,
                max(batch_date) filter (status = 'admitted') as latest
            from audit.batches
            where batch_date is null or batch_date <= coalesce(?, batch_date)
            group by entity
            order by entity
            """,
            [self.day, self.day, self.last_batch_day()],
        )
        if not batches:
            return None
        titles = entity_names(self.language)
        fates = self.marts.ask(
            "audit.row_conservation",
            """
            select
                coalesce(cast(sum(landed_rows) as bigint), 0) as landed,
                coalesce(cast(sum(accepted_rows) as bigint), 0) as accepted,
                coalesce(cast(sum(duplicate_rows) as bigint), 0) as duplicate,
                coalesce(cast(sum(superseded_rows) as bigint), 0) as superseded,
                coalesce(cast(sum(quarantined_rows) as bigint), 0) as quarantined,
                coalesce(cast(sum(erased_rows) as bigint), 0) as erased,
                coalesce(cast(sum(abs(
                    landed_rows - accepted_rows - duplicate_rows - superseded_rows - quarantined_rows
                    - erased_rows
                )) as bigint), 0) as missing
            from audit.row_conservation
            """,
        )
        return {
            "batches": {
                "admitted": sum(row["admitted"] for row in batches),
                "today": sum(row["today"] for row in batches),
                "held": sum(row["held"] for row in batches),
            },
            "freshness": [
                {
                    "entity": row["entity"],
                    "name": titles.get(row["entity"], row["entity"]),
                    "latest": row["latest"] and row["latest"].isoformat(),
                    "days_behind": (self.day - row["latest"]).days if row["latest"] else None,
                    "warned_today": row["warned_today"],
                    "held": row["held"],
                }
                for row in batches
            ],
            "rows": fates[0] if fates else None,
            "quarantine": self.quarantine(titles),
            "restated": self.restated(),
        }

    def quarantine(self, titles: dict[str, str]) -> list[Row]:
        """Quarantined rows by the first kind of reason that fits; a row counts once."""
        cases = " ".join(
            f"when contains(reasons, '{piece}') then '{kind}'"
            for kind, (piece, _, _) in QUARANTINE_KINDS.items()
            if piece
        )
        rows = self.marts.ask(
            "audit.quarantine",
            f"select case {cases} else 'other' end as kind, entity, count(*) as rows"
            " from audit.quarantine group by kind, entity order by kind, rows desc, entity",
        )
        kinds: dict[str, Row] = {}
        for row in rows:
            words = QUARANTINE_KINDS[row["kind"]][1 if self.language == "zh" else 2]
            kind = kinds.setdefault(row["kind"], {"reason": words, "rows": 0, "entities": []})
            kind["rows"] += row["rows"]
            kind["entities"].append(titles.get(row["entity"], row["entity"]))
        return sorted(kinds.values(), key=lambda kind: (-kind["rows"], kind["reason"]))

    def identity(self) -> Row | None:
        """Recognition of people, of all brands; None without the table."""
        rows = {
            (row["metric"], row["breakdown"]): row
            for row in self.marts.ask(
                "marts.identity_quality",
                "select metric, breakdown, numerator, denominator, rate from marts.identity_quality"
                " order by metric, breakdown",
            )
        }
        if not rows:
            return None
        figures = []
        for key, name in self.said.items():
            metric, _, breakdown = key.partition(".")
            row = rows.get((metric, breakdown))
            if row and row["rate"] is not None:
                is_ratio = metric == "merge_ratio"
                counts = {part: row[part] for part in ("numerator", "denominator", "rate")}
                figures.append({"metric": key, "name": name, "is_ratio": is_ratio} | counts)
        sizes = [
            {"size": size, "customers": row["numerator"], "share": row["rate"]}
            for (metric, size), row in rows.items()
            if metric == "cluster_size"
        ]
        refused = [
            {"guard": self.said.get(f"refused.{guard}", guard), "links": row["numerator"]}
            for (metric, guard), row in rows.items()
            if metric == "refused_links"
        ]
        return {
            "figures": figures,
            "sizes": sorted(sizes, key=lambda size: int(size["size"].split("-")[0].rstrip("+"))),
            "refused": sorted(refused, key=lambda guard: (-guard["links"], guard["guard"])),
        }


def _figure(kind: str, columns: tuple[str, ...], week: list[Row]) -> float | None:
    """A figure of AARRR from the days of a week, oldest first; None without a day or a denominator."""
    if not week:
        return None
    if kind.startswith("day"):
        return week[-1][columns[0]]
    sums = [float(sum(row[column] or 0 for row in week)) for column in columns]
    if len(sums) == 1:
        return sums[0]
    return sums[0] / sums[1] if sums[1] else None


def worst_light(content: Content) -> str:
    """The light that says most about a day: red before amber before green before none."""
    lights = {letter["light"] for letter in content["fast"]}
    return next((light for light in LIGHTS if light in lights), "none")
