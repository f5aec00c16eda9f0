"""Writes the README's tables of measurements from the JSON files of the benchmarks.

Run it after ``make bench``: ``python docs/write_measurements.py [RESULTS_FOLDER]``. A table whose results
are missing stays as it is. Values that no benchmark measures (wall times of make, sizes on disk) come from
``by_hand.json`` in that folder, if it exists.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ASKED = {"fused": "words and meaning", "keyword": "words", "semantic": "meaning"}
COLUMNS = {
    "seconds from picture to last token": ("end_to_end_s", ".1f"),
    "to the first": ("first_token_s", ".1f"),
    "prompt tokens/s": ("prefill_tokens_per_s", ",.0f"),
    "tokens/s, alone": ("tokens_per_s_1", ".0f"),
    "eight at once": ("tokens_per_s_8", ".0f"),
    "peak MiB": ("peak_mib", ",.0f"),
}
REFERENCE = "transformers bf16"


def main() -> None:
    """Replace the tables between their marks."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results"
    if made := rows(results):
        machine = load(results, "by_hand").get("machine", "")
        body = [f"| {what} | {result} | {command} |" for what, result, command in made]
        replace("measurements", [machine, "", "| what | result | command |", "|---|---|---|", *body])
    if contenders := load(results, "side_by_side").get("contenders"):
        replace("side by side", side_by_side(contenders))


def replace(name: str, lines: list[str]) -> None:
    """Put these lines between the two marks of a name."""
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    body = "\n".join(lines)
    readme.write_text(f"{before}{start}\n\n{body}\n\n{end}{after}", encoding="utf-8")


def side_by_side(contenders: dict[str, Any]) -> list[str]:
    """Return the lines of the table that compares engines; one that did not run is left out."""
    ran = {name: one for name, one in contenders.items() if isinstance(one, dict)}
    base_s = ran[REFERENCE]["end_to_end_s"]["median"]
    lines = ["| | times faster | " + " | ".join(COLUMNS) + " |", "|---|" + "---|" * (len(COLUMNS) + 1)]
    for name, metrics in ran.items():
        cells = [
            format(metrics[key]["median"], form) if key in metrics else "" for key, form in COLUMNS.values()
        ]
        times = base_s / metrics["end_to_end_s"]["median"]
        lines.append(f"| {name} | {times:.2f} | " + " | ".join(cells) + " |")
    return lines


def rows(results: Path) -> list[tuple[str, str, str]]:
    """Return (what, result, command) for every result that is there."""
    made: list[tuple[str, str, str]] = []
    by_hand = load(results, "by_hand")
    made += [(str(row[0]), str(row[1]), str(row[2])) for row in by_hand.get("rows", [])]
    for name, index in load(results, "index_throughput").items():
        what = "example pictures" if name == "examples" else f"{index['files']:,} generated pictures"
        stages = ", ".join(f"{stage} {one['pictures_per_s']:,}" for stage, one in index["stages"].items())
        command = "`benchmarks/index_throughput.py`"
        result = f"{index['pictures_per_s']} ({stages})"
        made.append((f"indexing the {what}: pictures/s, and by stage", result, command))
        made.append((f"peak memory of all processes, {what}", f"{index['peak_tree_mib']:,.0f} MiB", command))
    for num, size in load(results, "search_latency").get("sizes", {}).items():
        for row in size["rows"]:
            if row["kind"] == "all":
                result = f"{row['p50_ms']:.0f} / {row['p99_ms']:.0f} ms"
                what = f"search by {ASKED[row['mode']]}, {int(num):,} pictures, median / 99th percentile"
                made.append((what, result, "`benchmarks/search_latency.py`"))
    if recall := load(results, "ocr_recall"):
        result = f"{recall['found_first']} of {recall['asked']}"
        what = "example pictures with text, found first by three of their words"
        made.append((what, result, "`benchmarks/ocr_recall.py`"))
    for series in series_of(load(results, "malformed_pictures")):
        result = f"{len(series['crashes'])} crashes, longest {series['longest_s']:.2f} s"
        what = f"{series['name'].capitalize()}, {series['num_files']:,} files"
        made.append((what, result, "`benchmarks/malformed_pictures.py`"))
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
