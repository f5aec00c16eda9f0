"""A bar chart as SVG, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH_PX, LABEL_PX, ROW_PX, BAR_PX = 720, 190, 26, 16


def bar_chart(title: str, values: Mapping[str, float], *, marked: str) -> str:
    """Draw a bar for each value, in their order; names that begin with ``marked`` stand out."""
    longest = max(values.values(), default=1.0)
    height = ROW_PX * (len(values) + 1) + 14
    rows = []
    for number, (name, value) in enumerate(values.items()):
        top = ROW_PX * (number + 1) + 8
        width = (WIDTH_PX - LABEL_PX - 70) * value / longest
        colour = "#d9480f" if name.startswith(marked) else "#868e96"
        text = top + BAR_PX - 3
        rows.append(
            f'<text x="{LABEL_PX - 8}" y="{text}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{LABEL_PX}" y="{top}" width="{width:.1f}" height="{BAR_PX}" rx="2" fill="{colour}"/>'
            f'<text x="{LABEL_PX + width + 6:.1f}" y="{text}">{value:.1f}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height}" '
        'font-family="sans-serif" font-size="13" fill="#868e96">\n'
        f'<text x="8" y="20" font-weight="bold">{escape(title)}</text>\n' + "\n".join(rows) + "\n</svg>\n"
    )
