"""Charts as inline SVG: Vega-Lite through Altair and vl-convert, colours as CSS variables of the page.

A variable such as `var(--stage-1)` passes through Vega untouched, so one SVG serves light, dark and paper.
Altair takes a second to import and is imported when the first chart is drawn.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

Row = dict[str, Any]
SOFT, LINE = "var(--soft)", "var(--line)"


def sparkline(trend: list[list], light: str) -> Markup:
    """A month of one figure, with its last day marked; drawn without text, so it scales to any width."""
    import altair as alt

    values = [{"day": day, "value": value} for day, value in trend]
    numbers = [row["value"] for row in values]
    # A figure that moves by a few people in a month should look flat: the axis spans at least a tenth of it.
    middle, half = (max(numbers) + min(numbers)) / 2, (max(numbers) - min(numbers)) / 2
    half = max(half, abs(middle) * 0.05, 1e-9)
    x = alt.X("day:T", title=None, axis=None, scale=alt.Scale(type="utc"))
    y = alt.Y(
        "value:Q", axis=None, scale=alt.Scale(domain=[middle - half, middle + half], zero=False)
    )
    line = alt.Chart(alt.Data(values=values)).mark_line(
        stroke="var(--ink)", strokeWidth=1.5, strokeCap="round", strokeJoin="round", opacity=0.75
    )
    dot = alt.Chart(alt.Data(values=values[-1:])).mark_point(
        fill=f"var(--{light})", stroke="var(--card)", strokeWidth=1.5, size=70, opacity=1
    )
    chart = alt.layer(line.encode(x=x, y=y), dot.encode(x=x, y=y)).properties(width=220, height=44)
    return _svg(chart, "")


def stock(stock: Row, width: int, height: int, language: str) -> Markup:
    """People by stage as a stacked area, deepest stage at the bottom, promotions behind it."""
    import altair as alt

    stages = stock["stages"]
    rows = [
        {"day": day, "stage": stage["stage"], "order": -rank, "people": people}
        for rank, stage in enumerate(stages)
        for day, people in zip(stock["days"], stage["customers"], strict=True)
    ]
    x = alt.X(
        "day:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False),
        axis=alt.Axis(
            format="%-m月" if language == "zh" else "%b",
            tickCount="month" if len(stock["days"]) > 45 else 4,
            grid=False,
            labelFlush=True,
        )
        if len(stock["days"]) > 45
        else alt.Axis(format="%-m/%-d", tickCount=4, grid=False, labelFlush=True),
    )
    area = (
        alt.Chart(alt.Data(values=rows))
        .mark_area(stroke="var(--card)", strokeWidth=0.75)
        .encode(
            x=x,
            y=alt.Y(
                "people:Q",
                title=None,
                stack="zero",
                axis=alt.Axis(tickCount=4, format=",d", tickMinStep=1),
            ),
            color=alt.Color(
                "stage:N",
                legend=None,
                scale=alt.Scale(
                    domain=[stage["stage"] for stage in stages],
                    range=[f"var(--stage-{rank + 1})" for rank in range(len(stages))],
                ),
            ),
            order="order:Q",
        )
    )
    layers = [area]
    if stock["promotions"]:
        base = alt.Chart(alt.Data(values=stock["promotions"]))
        bands = base.mark_rect(fill="var(--band)", opacity=1).encode(
            x=alt.X("from:T", scale=alt.Scale(type="utc")), x2="to:T"
        )
        names = base.mark_text(
            align="left", baseline="bottom", dy=-4, fill=SOFT, fontSize=11
        ).encode(x="from:T", y=alt.value(0), text="name:N")
        layers = [bands, area, names]
    chart = alt.layer(*layers).properties(width=width, height=height)
    return _svg(chart, language)


def _svg(chart: Any, language: str) -> Markup:
    """The chart as SVG that fits its column: no size of its own, no namespace address, no ARIA chatter."""
    import vl_convert

    chart = (
        chart.configure(background="transparent", padding=2, font="sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=SOFT,
            labelFontSize=12,
            gridColor=LINE,
            domain=False,
            ticks=False,
            labelPadding=6,
        )
    )
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r' (?:aria-[a-z]+|role|class|version|font-family)="[^"]*"', "", svg)
    svg = re.sub(r'<svg width="\d+(?:\.\d+)?" height="\d+(?:\.\d+)?"', "<svg", svg, count=1)
    return Markup(svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1))
