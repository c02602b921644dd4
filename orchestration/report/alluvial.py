"""The picture of a week's movement: bands from the stages of a week ago to those of today.

Vega-Lite has no such mark, so these few paths are drawn by hand.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from orchestration.report.words import number

NODE, GAP, LABEL_HEIGHT = 10, 8, 34
THINNEST = 1.5


def alluvial(flow: dict[str, Any], said: dict[str, str], *, width: int, height: int) -> Markup:
    """SVG of the flow, deepest stage on top, `none` at the bottom; every movement is at least a hair wide."""
    order = [stage["stage"] for stage in reversed(flow["stages"])] + ["none"]
    names = {stage["stage"]: f"{stage['stage']} {stage['name']}" for stage in flow["stages"]}
    cells = {(cell["from_stage"], cell["to_stage"]): cell for cell in flow["cells"]}
    total = sum(cell["customers"] for cell in cells.values())
    # Room for five nodes of which the smallest are as high as their label.
    scale = (height - (GAP + LABEL_HEIGHT * 0.6) * len(order)) / total
    ends_of_week = [said["from_none"], said["to_none"]]
    margin = max(_text_width(name) for name in [*names.values(), *ends_of_week]) + NODE + 12
    left, right = margin, width - margin
    labels, nodes = [], []

    def column(end: int) -> dict[str, float]:
        """Draw the nodes of one side and say where each begins."""
        tops, top = {}, 4.0
        for stage in order:
            inside = [cell for key, cell in cells.items() if key[end] == stage]
            tall = sum(max(cell["customers"] * scale, THINNEST) for cell in inside)
            tops[stage] = top
            count = sum(cell["customers"] for cell in inside)
            if inside:
                x = left - NODE if end == 0 else right
                rank = len(order) - 1 - order.index(stage)
                fill = f"var(--stage-{rank})" if rank else "var(--none)"
                offset = max(LABEL_HEIGHT - tall, 0) / 2
                tops[stage] = top + offset
                nodes.append(
                    f'<rect x="{x}" y="{top + offset:.1f}" width="{NODE}" height="{tall:.1f}" rx="2" fill="{fill}"/>'
                )
                name = names.get(stage) or said["from_none" if end == 0 else "to_none"]
                anchor, at = ("end", x - 8) if end == 0 else ("start", x + NODE + 8)
                y = top + max(tall, LABEL_HEIGHT) / 2 - 7
                labels.append(
                    f'<text x="{at}" y="{y:.1f}" text-anchor="{anchor}"><tspan>{escape(name)}</tspan>'
                    f'<tspan x="{at}" dy="15" class="count">{number(count)}</tspan></text>'
                )
            top += max(tall, LABEL_HEIGHT) + GAP
        return tops

    starts, ends = column(0), column(1)
    drawn = []
    for source in order:
        for target in order:
            cell = cells.get((source, target))
            if cell is None:
                continue
            tall = max(cell["customers"] * scale, THINNEST)
            a, b = starts[source], ends[target]
            starts[source] += tall
            ends[target] += tall
            middle = (left + right) / 2
            from_name = names.get(source, said["from_none"])
            to_name = names.get(target, said["to_none"])
            drawn.append(
                (
                    cell["direction"] != "stayed",
                    f'<path class="{cell["direction"]}" d="M{left},{a:.1f}C{middle},{a:.1f} {middle},{b:.1f}'
                    f" {right},{b:.1f}L{right},{b + tall:.1f}C{middle},{b + tall:.1f} {middle},{a + tall:.1f}"
                    f' {left},{a + tall:.1f}Z"><title>{escape(from_name)} → {escape(to_name)}: '
                    f"{number(cell['customers'])}</title></path>",
                )
            )
    bands = [path for _, path in sorted(drawn, key=lambda item: item[0])]
    bottom = max(max(starts.values()), max(ends.values())) + LABEL_HEIGHT / 2
    return Markup(
        f'<svg class="alluvial" viewBox="0 0 {width} {bottom:.0f}" role="img">'
        f"<title>{escape(said['flow'])}</title>{''.join(bands)}{''.join(nodes)}{''.join(labels)}</svg>"
    )


def _text_width(text: str) -> int:
    """Width at 13 px, on the safe side: a Chinese character is as wide as it is high, a letter about half."""
    return sum(14 if ord(character) > 0x2E80 else 8 for character in text)
