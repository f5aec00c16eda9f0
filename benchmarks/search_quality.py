"""How well words and sentences find the example pictures, and how often a search for nothing finds something.

Run it as ``python benchmarks/search_quality.py [--home DIR] [--json FILE]``. It indexes ``examples/``
with OCR and the text model, without descriptions, and runs the queries of ``search_queries.json`` in
each mode: the recall at 1, 5 and 10 of those with an answer, and the results of those without one.
``--home`` keeps the library for the next run, in which only what changed is indexed again. The queries
were written by someone who knew the pictures, before any result was seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from smallsight.library.search.searcher import Mode
from smallsight.services.application import Application
from smallsight.settings import load_settings

EXAMPLES = Path(__file__).parents[1] / "examples"
CUTS = (1, 5, 10)
DEPTH = 50


def measure(home: Path) -> dict[str, Any]:
    """Index the examples and run every query in every mode."""
    queries = json.loads(Path(__file__).with_name("search_queries.json").read_text(encoding="utf-8"))
    settings = load_settings(home=home)
    folders = [str(EXAMPLES / name) for name in ("pictures", "stickers")]
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    command = [sys.executable, "-m", "smallsight", "index", "--quiet", *folders]
    subprocess.run(command, check=True, env=environment)
    with Application(settings, for_writing=False) as application:
        searcher = application.searcher
        modes = {}
        for mode in Mode:
            ranks: dict[str, list[int | None]] = defaultdict(list)
            for one in queries["find"]:
                hits = searcher.search(one["query"], mode=mode, limit=DEPTH).hits
                ranks[one["kind"]].append(rank_of(one["files"], [hit.path.name for hit in hits]))
            found = {
                query: [hit.path.name for hit in searcher.search(query, mode=mode, limit=DEPTH).hits]
                for query in queries["find_nothing"]
            }
            modes[mode.value] = {"ranks": dict(ranks), "found_for_nothing": found}
    return modes


def rank_of(wanted: list[str], names: list[str]) -> int | None:
    """Return the best rank of a wanted file, from 1, or None."""
    return next((rank for rank, name in enumerate(names, start=1) if name in wanted), None)


def report(modes: dict[str, Any], *, verbose: bool) -> None:
    """Print recall in percent by kind, and what the queries without an answer returned."""
    for mode, measured in modes.items():
        everything = [rank for ranks in measured["ranks"].values() for rank in ranks]
        print(f"{mode}")
        for kind, ranks in [*measured["ranks"].items(), ("all", everything)]:
            shares = "/".join(f"{recall(ranks, cut):.0f}" for cut in CUTS)
            print(f"  {kind:<18} {len(ranks):>3}  recall at 1/5/10: {shares} %")
        found = measured["found_for_nothing"]
        lengths = [len(names) for names in found.values()]
        noisy = sum(length > 0 for length in lengths)
        print(f"  without an answer  {len(found):>3}  with results: {noisy}, mean {mean(lengths):.1f}")
        if verbose:
            for query, names in found.items():
                if names:
                    print(f"    {query}: {', '.join(names[:5])}")


def recall(ranks: list[int | None], cut: int) -> float:
    """Return the percentage of ranks within the cut."""
    return 100 * sum(rank is not None and rank <= cut for rank in ranks) / len(ranks)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, help="keep the library here")
    parser.add_argument("--json", type=Path, help="write every rank to this file")
    parser.add_argument("--verbose", action="store_true", help="name what is found for nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        modes = measure(arguments.home or Path(folder))
    report(modes, verbose=arguments.verbose)
    if arguments.json:
        arguments.json.write_text(json.dumps(modes, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
