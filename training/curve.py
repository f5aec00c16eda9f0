"""Draws how a run went."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 300, 50, 30
SERIES = {"cells": "#9333ea", "read": "#2563eb", "said": "#16a34a", "text_loss": "#dc2626"}


def draw_curve(log: Path, svg: Path) -> None:
    """Draw shares of tokens guessed right, the loss and the level over pictures seen."""
    if not log.exists():
        return
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    if len(lines) < 2:
        return
    last = lines[-1]["pictures"]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    )
    parts = [head]

    def place(pictures: float, share: float) -> str:
        x = LEFT + (WIDTH - LEFT - 20) * pictures / last
        y = 20 + (HEIGHT - 20 - BOTTOM) * (1 - min(1.0, max(0.0, share)))
        return f"{x:.1f},{y:.1f}"

    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = place(0, share).split(",")
        parts.append(f'<text x="{float(x) - 8}" y="{y}" text-anchor="end">{share}</text>')
    for number, (name, colour) in enumerate(SERIES.items()):
        points = " ".join(place(line["pictures"], line.get(name, 0.0)) for line in lines)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{LEFT + 10 + 110 * number}" y="14" fill="{colour}">{name}</text>')
    for before, line in pairwise(lines):
        if line["level"] != before["level"]:
            x = place(line["pictures"], 0).split(",")[0]
            parts.append(f'<line x1="{x}" y1="20" x2="{x}" y2="{HEIGHT - BOTTOM}" stroke="#bbb"/>')
            parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM - 4}" fill="#888">{line["level"]}</text>')
    parts.append(f'<text x="{WIDTH - 20}" y="{HEIGHT - 8}" text-anchor="end">{last:,} pictures</text></svg>')
    svg.write_text("".join(parts), encoding="utf-8")
