"""Writes the README's table of measured figures from what the benchmarks wrote.

Run it after ``make bench``: ``python docs/write_figures.py [RESULTS_FOLDER]``. Figures that no benchmark can
know (wall times of make, sizes on disk) come from ``by_hand.json`` in that folder, if it is there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ASKED = {"fused": "words and meaning", "keyword": "words", "semantic": "meaning"}
START, END = "<!-- figures -->", "<!-- end figures -->"


def main() -> None:
    """Replace the table between the two marks."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results"
    lines = ["| what | figure | command |", "|---|---|---|"]
    lines += [f"| {what} | {figure} | {command} |" for what, figure, command in rows(results)]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    machine = load(results, "by_hand").get("machine", "")
    table = "\n".join(lines)
    readme.write_text(f"{before}{START}\n\n{machine}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def rows(results: Path) -> list[tuple[str, str, str]]:
    """Return (what, figure, command) for every result that is there."""
    made: list[tuple[str, str, str]] = []
    by_hand = load(results, "by_hand")
    made += [(str(row[0]), str(row[1]), str(row[2])) for row in by_hand.get("rows", [])]
    for name, index in load(results, "index_throughput").items():
        what = "example pictures" if name == "examples" else f"{index['files']:,} generated pictures"
        stages = ", ".join(f"{stage} {one['pictures_per_s']:,}" for stage, one in index["stages"].items())
        command = "`benchmarks/index_throughput.py`"
        figure = f"{index['pictures_per_s']} ({stages})"
        made.append((f"indexing the {what}: pictures/s, and by stage", figure, command))
        made.append((f"peak memory of all processes, {what}", f"{index['peak_tree_mib']:,.0f} MiB", command))
    for num, size in load(results, "search_latency").get("sizes", {}).items():
        for row in size["rows"]:
            if row["kind"] == "all":
                figure = f"{row['p50_ms']:.0f} / {row['p99_ms']:.0f} ms"
                what = f"search by {ASKED[row['mode']]}, {int(num):,} pictures, median / 99th percentile"
                made.append((what, figure, "`benchmarks/search_latency.py`"))
    if recall := load(results, "ocr_recall"):
        figure = f"{recall['found_first']} of {recall['asked']}"
        what = "example pictures with text, found first by three of their words"
        made.append((what, figure, "`benchmarks/ocr_recall.py`"))
    for series in series_of(load(results, "malformed_pictures")):
        figure = f"{len(series['crashes'])} crashes, longest {series['longest_s']:.2f} s"
        what = f"{series['name'].capitalize()}, {series['num_files']:,} files"
        made.append((what, figure, "`benchmarks/malformed_pictures.py`"))
    return made


def series_of(malformed: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the series of the benchmark with malformed pictures."""
    series: list[dict[str, Any]] = malformed.get("series", [])
    return series


def load(results: Path, name: str) -> dict[str, Any]:
    """Return one benchmark's result, or an empty one."""
    path = results / f"{name}.json"
    if not path.is_file():
        return {}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


if __name__ == "__main__":
    main()
