"""Mutants of a model: its compiled SQL with one thing changed, as a slip of the hand would change it.

The SQL is read by sqlglot, changed in one node and written again; unchanged it means the same (the runner asserts that
on the data). A mutant's id names the model, the operator and a digest of the changed place with its surroundings, so
that it stays the same when other places of the model change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlglot import exp, parse_one

OPERATORS = {
    "boundary": "`>` to `>=`, `<` to `<=` and back",
    "number": "a whole number (a window, a rank, a share's base) one more or one less",
    "equality": "`=` to `<>` and back, beside a constant",
    "logic": "`and` to `or` and back",
    "condition": "a condition of where, on, when or filter left out (in `on`: a wrong fan-out)",
    "negation": "`not` left out",
    "join": "left to inner, full to left, semi to anti and back",
    "dedup": "`distinct` or `qualify` left out, `union` to `union all`",
    "null": "`coalesce` or `nullif` left out, `is null` turned round, `is not distinct from` to `=`",
    "aggregate": "min to max and back, sum to max, greatest to least and back, lag to lead and back",
    "order": "the order within a window turned round",
    "partition": "a column of `partition by` left out",
    "arithmetic": "`+` to `-`, `*` to `/` and back",
    "case": "a branch of `case` left out",
    "word": "a text constant that matches no more, or one of a list left out",
}


@dataclass(frozen=True)
class Mutant:
    id: str
    model: str
    operator: str
    place: str
    """The common table expression that holds the change."""
    change: str
    """Before and after, in short."""
    sql: Callable[[], str]


def parsed(sql: str) -> exp.Expression:
    # sqlglot takes `map` for the constructor of maps; the models call a table so.
    tree = parse_one(re.sub(r'(?<!")\bmap\b(?!\s*[({"])', "map_", sql), read="duckdb")
    tree.set("order", None)  # of rows in the file, not of what they say
    return tree


def written(tree: exp.Expression) -> str:
    return tree.sql(dialect="duckdb", comments=False)


def mutants(model: str, sql: str) -> list[Mutant]:
    """Every mutant of the model, in the order of its places. The SQL of one is written when it is asked for."""
    tree = parsed(sql)
    found: dict[str, Mutant] = {}
    befores: dict[int, str] = {}
    for node in list(tree.walk()):
        for operator, new in _changes(node):
            place, around = _place(node), _around(node)
            if id(around) not in befores:
                befores[id(around)] = written(around)
            before = befores[id(around)]
            holder, key = around.parent, around.arg_key
            with _replaced(node, new):
                # The phrase itself may be what was replaced.
                now = holder.args.get(key) if holder is not None and around is node else around
                if isinstance(now, list):
                    now = now[around.index or 0]
                after = written(now) if now is not None else ""
            if after == before:
                continue
            digest = hashlib.sha256(f"{place}|{before}|{after}".encode()).hexdigest()[:8]
            name = f"{model}:{operator}:{digest}"
            if name not in found:
                found[name] = Mutant(
                    name,
                    model,
                    operator,
                    place,
                    _said(before, after),
                    partial(_sql, tree, node, new),
                )
    return list(found.values())


def _sql(tree: exp.Expression, node: exp.Expression, new) -> str:
    with _replaced(node, new):
        return written(tree)


class _replaced:
    """Puts another node into the tree for a while; a function changes the node in place and hands back its undoing."""

    def __init__(self, node: exp.Expression, new) -> None:
        self.node, self.new = node, new

    def __enter__(self):
        if callable(self.new):
            self.undo = self.new()
            return self.new
        self.parent, self.key, self.index = self.node.parent, self.node.arg_key, self.node.index
        if self.parent is None:
            self.undo = lambda: None
            return None
        _put(self.parent, self.key, self.index, self.new)
        self.undo = lambda: _put(self.parent, self.key, self.index, self.node)
        return self.new

    def __exit__(self, *_) -> None:
        self.undo()


def _put(parent, key, index, node) -> None:
    if index is None:
        parent.set(key, node)
    else:
        values = list(parent.args[key])
        values[index] = node
        parent.set(key, values)


def _place(node: exp.Expression) -> str:
    cte = node.find_ancestor(exp.CTE)
    return cte.alias if cte else "the last select"


def _around(node: exp.Expression) -> exp.Expression:
    """The smallest whole phrase that holds the node and says enough: a condition, a column, a join."""
    around = node
    while around.parent is not None and not isinstance(
        around, (exp.Join, exp.Where, exp.Having, exp.Qualify, exp.Select, exp.SetOperation)
    ):
        if around.arg_key == "expressions" and isinstance(around.parent, exp.Select):
            break
        around = around.parent
    return around


def _said(before: str, after: str, reach: int = 60) -> str:
    """The two texts without what they share at both ends but for a few words."""
    first = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    last = next(
        (
            i
            for i, (a, b) in enumerate(zip(before[first:][::-1], after[first:][::-1], strict=False))
            if a != b
        ),
        min(len(before), len(after)) - first,
    )

    def cut(text: str) -> str:
        start, end = max(0, first - reach), len(text) - max(0, last - reach // 2)
        return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")

    return f"{cut(before)} → {cut(after)}"


def _changes(node: exp.Expression) -> Iterator[tuple[str, exp.Expression | Callable]]:
    for rule in (
        _comparisons,
        _numbers,
        _logic,
        _conditions,
        _joins,
        _dedup,
        _nulls,
        _aggregates,
        _windows,
        _arithmetic,
        _cases,
        _words,
    ):
        yield from rule(node)


def _as(kind, node):
    return kind(this=node.this.copy(), expression=node.expression.copy())


BOUNDARY = {exp.GT: exp.GTE, exp.GTE: exp.GT, exp.LT: exp.LTE, exp.LTE: exp.LT}


def _comparisons(node):
    if type(node) in BOUNDARY:
        yield "boundary", _as(BOUNDARY[type(node)], node)
    if isinstance(node, exp.EQ) and any(
        isinstance(x, exp.Literal) for x in (node.this, node.expression)
    ):
        yield "equality", _as(exp.NEQ, node)
    if isinstance(node, exp.NEQ):
        yield "equality", _as(exp.EQ, node)


def _numbers(node):
    if not isinstance(node, exp.Literal) or not re.fullmatch(r"\d{1,6}", str(node.this)):
        return
    if node.is_string and not isinstance(node.parent, exp.Interval):
        return
    # The number of the refresh means something to refreshes alone, and mutants are of full builds.
    holder = node.find_ancestor(exp.Alias)
    if holder is not None and holder.alias == "_refresh":
        return
    if isinstance(
        node.parent,
        (exp.DataTypeParam, exp.DataType, exp.Ordered, exp.Group, exp.Round, exp.Nullif),
    ):
        return
    number = int(node.this)
    for other in (number + 1, number - 1):
        if other >= 0:
            yield "number", exp.Literal(this=str(other), is_string=node.is_string)


def _logic(node):
    if isinstance(node, exp.And):
        yield "logic", exp.paren(_as(exp.Or, node))
    if isinstance(node, exp.Or):
        yield "logic", exp.paren(_as(exp.And, node))


def _without(node, key):
    def change():
        value = node.args.get(key)
        node.set(key, None)
        return lambda: node.set(key, value)

    return change


def _setting(node, **values):
    def change():
        before = {key: node.args.get(key) for key in values}
        for key, value in values.items():
            node.set(key, value)

        def undo():
            for key, value in before.items():
                node.set(key, value)

        return undo

    return change


def _conditions(node):
    if isinstance(node, exp.And):
        # Of a chain `a and b and c` every member once: the right one of each pair, and the left one of the innermost.
        yield "condition", node.this.copy()
        if not isinstance(node.this, exp.And):
            yield "condition", node.expression.copy()
    if isinstance(node, exp.Or):
        yield "condition", node.this.copy()
        if not isinstance(node.this, exp.Or):
            yield "condition", node.expression.copy()
    if isinstance(node, exp.Where) and not isinstance(node.this, exp.And):
        if isinstance(node.parent, exp.Filter):
            yield "condition", lambda: _swap(node.parent, node.parent.this.copy())
        else:
            yield "condition", _without(node.parent, "where")
    if isinstance(node, exp.Having):
        yield "condition", _without(node.parent, "having")
    if isinstance(node, exp.Not) and not isinstance(node.this, exp.Is):
        yield "negation", node.this.copy()


def _swap(node, new):
    parent, key, index = node.parent, node.arg_key, node.index
    _put(parent, key, index, new)
    return lambda: _put(parent, key, index, node)


def _joins(node):
    if not isinstance(node, exp.Join):
        return
    side, kind = (node.args.get("side") or "").upper(), (node.args.get("kind") or "").upper()
    if kind == "SEMI":
        yield "join", _setting(node, kind="ANTI")
    elif kind == "ANTI":
        yield "join", _setting(node, kind="SEMI")
    elif side == "LEFT":
        yield "join", _setting(node, side=None, kind="INNER")
    elif side == "FULL":
        yield "join", _setting(node, side="LEFT", kind=None)


def _dedup(node):
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        yield "dedup", _without(node, "distinct")
    of = node.this if isinstance(node, exp.Count) else None
    if isinstance(of, exp.Distinct) and len(of.expressions) == 1:
        yield "dedup", exp.Count(this=of.expressions[0].copy())
    if isinstance(node, exp.Qualify):
        yield "dedup", _without(node.parent, "qualify")
    if isinstance(node, exp.Union) and node.args.get("distinct"):
        yield "dedup", _setting(node, distinct=False)


def _nulls(node):
    if isinstance(node, exp.Coalesce):
        yield "null", node.this.copy()
    if isinstance(node, exp.Nullif):
        yield "null", node.this.copy()
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        if isinstance(node.parent, exp.Not):
            return
        yield "null", exp.Not(this=node.copy())
    if isinstance(node, exp.Not) and isinstance(node.this, exp.Is):
        yield "null", node.this.copy()
    if isinstance(node, exp.NullSafeEQ):
        yield "null", _as(exp.EQ, node)
    if isinstance(node, exp.NullSafeNEQ):
        yield "null", _as(exp.NEQ, node)


PAIRS = {
    exp.Min: exp.Max, exp.Max: exp.Min, exp.Sum: exp.Max, exp.Lag: exp.Lead, exp.Lead: exp.Lag,
    exp.ArgMin: exp.ArgMax, exp.ArgMax: exp.ArgMin, exp.Greatest: exp.Least, exp.Least: exp.Greatest,
    exp.LogicalOr: exp.LogicalAnd, exp.LogicalAnd: exp.LogicalOr,
}  # fmt: skip


def _aggregates(node):
    if type(node) in PAIRS:
        yield "aggregate", PAIRS[type(node)](**{k: _copied(v) for k, v in node.args.items()})


def _copied(value):
    if isinstance(value, list):
        return [_copied(x) for x in value]
    return value.copy() if isinstance(value, exp.Expression) else value


def _windows(node):
    if isinstance(node, exp.Ordered) and node.find_ancestor(exp.Window):
        yield "order", _setting(node, desc=not node.args.get("desc"), nulls_first=None)
    if isinstance(node, exp.Window) and node.args.get("partition_by"):
        columns = node.args["partition_by"]
        for i in range(len(columns)):
            yield "partition", _setting(node, partition_by=columns[:i] + columns[i + 1 :])


ARITHMETIC = {exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Mul: exp.Div, exp.Div: exp.Mul}


def _arithmetic(node):
    by_one = isinstance(node, (exp.Mul, exp.Div)) and any(
        isinstance(x, exp.Literal) and str(x.this) in ("1", "1.0")
        for x in (node.this, node.expression)
    )
    if type(node) in ARITHMETIC and not by_one:
        yield "arithmetic", _as(ARITHMETIC[type(node)], node)


def _cases(node):
    if isinstance(node, exp.Case):
        branches = node.args["ifs"]
        if len(branches) > 1:
            for i in range(len(branches)):
                yield "case", _setting(node, ifs=branches[:i] + branches[i + 1 :])
        default = node.args.get("default")
        # Within a sum nothing is as good as nought, but where there is no row at all.
        is_nought = isinstance(default, exp.Literal) and default.this == "0"
        if default is not None and not (is_nought and isinstance(node.parent, exp.Sum)):
            yield "case", _without(node, "default")


def _words(node):
    if (
        isinstance(node, exp.Literal)
        and node.is_string
        and isinstance(node.parent, (exp.EQ, exp.NEQ))
    ):
        yield "word", exp.Literal.string(str(node.this) + "_")
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        for i in range(len(node.expressions)):
            yield (
                "word",
                _setting(node, expressions=node.expressions[:i] + node.expressions[i + 1 :]),
            )
    if isinstance(node, exp.Boolean) and not isinstance(node.parent, exp.Cast):
        yield "equality", exp.Boolean(this=not node.this)
