"""The same searches on the same pictures by Smallsight's rules and by those of meme-search.

Run it as ``python benchmarks/meme_search_rules.py [--home DIR] [--json FILE] [--verbose]``. It indexes
``examples/pictures``, gives every picture the one sentence of ``examples/pictures.json`` as a person's
description, some of them tags, and runs the 60 queries of ``meme_search_queries.json``: the share of those
with a wanted file first, and among the first ten. The queries were written before any result was seen. Both
sides have the same descriptions and the same text embedder, all-MiniLM-L6-v2:

- *Smallsight*: its fused search, with the text that it has read in the pictures.
- *without text*: the same, but no text was read; so what it has beyond descriptions are names and tags.
- *keywords*: the rules of meme-search's keyword search, in this file's own code: descriptions only; words
  as they are, without stemming; any word of the query suffices; ranked as PostgreSQL ranks; ten results.
- *vectors*: the rules of its vector search: each description whole and in pieces of four words that overlap
  by two; the ten nearest pieces, whose pictures are the results.

meme-search has no other way to find a picture by words; tags are filters there. Its program would pass over
the TIFF, BMP and AVIF files and the subfolders; here it gets all pictures. Its list of words that are
ignored is taken to be ours.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.search.function_words import FUNCTION_WORDS
from smallsight.library.search.searcher import Searcher
from smallsight.machine.processor import processor
from smallsight.services.application import Application
from smallsight.settings import load_settings

EXAMPLES = Path(__file__).parents[1] / "examples"
TOP = 10
PIECE_WORDS, PIECE_STEP = 4, 2

Search = Callable[[str], list[str]]
"""Returns the names of the files that a query finds, best first."""


class KeywordRules:
    """Any word of a query in a description; several, or one that is there often, count more."""

    def __init__(self, descriptions: Sequence[tuple[str, str]]) -> None:
        self._counts = [(name, Counter(words_of(text))) for name, text in descriptions]

    def search(self, query: str) -> list[str]:
        """Return the names of at most ten files."""
        wanted = {word for word in words_of(query) if word not in FUNCTION_WORDS}
        scored = [(self._rank(wanted, counts), name) for name, counts in self._counts]
        ranked = sorted((one for one in scored if one[0] > 0), key=lambda one: -one[0])
        return [name for _, name in ranked[:TOP]]

    @staticmethod
    def _rank(wanted: set[str], counts: Counter[str]) -> float:
        """Return PostgreSQL's ``ts_rank`` for words joined by OR, but for a constant factor."""
        return sum(1 / number**2 for word in wanted for number in range(1, counts[word] + 1))


class VectorRules:
    """The nearest pieces of descriptions."""

    def __init__(
        self, descriptions: Sequence[tuple[str, str]], embed: Callable[[Sequence[str]], np.ndarray]
    ) -> None:
        self._embed = embed
        self._names = [name for name, text in descriptions for _ in pieces_of(text)]
        self._vectors_ND = embed([piece for _, text in descriptions for piece in pieces_of(text)])

    def search(self, query: str) -> list[str]:
        """Return the names of at most ten files."""
        similarities_N = self._vectors_ND @ self._embed([query])[0]
        nearest = np.argsort(-similarities_N, kind="stable")[:TOP]
        return list(dict.fromkeys(self._names[row] for row in nearest.tolist()))


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


def pieces_of(description: str) -> list[str]:
    """Return what is embedded of a description: all of it, then its pieces if there are several."""
    words = re.sub(r"[^a-z0-9,.!?']+", " ", description.lower()).split()
    if len(words) < PIECE_WORDS:
        return [" ".join(words)]
    starts = range(0, len(words) - PIECE_WORDS + 1, PIECE_STEP)
    pieces = [" ".join(words[start : start + PIECE_WORDS]) for start in starts]
    rest = words[starts[-1] + PIECE_WORDS :]
    if rest:
        pieces.append(" ".join(words[starts[-1] + PIECE_STEP :]))
    return [description.lower(), *pieces] if len(pieces) > 1 else pieces


def make_library(home: Path, tags: dict[str, list[str]], *, reads_text: bool) -> None:
    """Index the pictures with their descriptions and tags."""
    index(home, reads_text=reads_text)
    shown = {Path(one["file"]).name: one["shows"] for one in example_pictures()}
    with Application.for_editing(load_settings(home=home), configures_logging=False) as application:
        with application.database.cursor() as cursor:
            files = cursor.execute(
                "SELECT content_id, path FROM picture WHERE content_id IS NOT NULL"
            ).fetchall()
        for content_id, path in files:
            name = Path(path).name
            change = WordChange(description=shown[name], tags_added=tuple(tags.get(name, ())))
            edit_contents(application.database, [content_id], change)
    index(home, reads_text=reads_text)


def index(home: Path, *, reads_text: bool) -> None:
    """Index what has changed."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": str(reads_text)}
    command = [sys.executable, "-m", "smallsight", "index", "--quiet", str(EXAMPLES / "pictures")]
    subprocess.run(command, check=True, env=environment)


def example_pictures() -> list[dict[str, Any]]:
    """Return what is known of the example pictures."""
    listed: list[dict[str, Any]] = json.loads((EXAMPLES / "pictures.json").read_text(encoding="utf-8"))[
        "pictures"
    ]
    return listed


def measure(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return for each way to search the rank of the best wanted file of every query, None beyond ten."""
    given = json.loads(Path(__file__).with_name("meme_search_queries.json").read_text(encoding="utf-8"))
    descriptions = [(Path(one["file"]).name, one["shows"]) for one in example_pictures()]
    homes = {"Smallsight": folder / "with-text", "without text": folder / "without-text"}
    ranks: dict[str, list[dict[str, Any]]] = {}
    for name, home in homes.items():
        make_library(home, given["tags"], reads_text=name == "Smallsight")
        with Application(
            load_settings(home=home), for_writing=False, configures_logging=False
        ) as application:
            searcher, embedder = application.searcher, application.embedder
            if embedder is None:
                raise SystemExit("The text embedder is missing: `smallsight doctor` says how to install it.")

            def fused(query: str, searcher: Searcher = searcher) -> list[str]:
                return [hit.path.name for hit in searcher.search(query, limit=TOP).hits]

            ranks[name] = run(given["queries"], fused)
            if name == "without text":
                ranks["keywords"] = run(given["queries"], KeywordRules(descriptions).search)
                ranks["vectors"] = run(given["queries"], VectorRules(descriptions, embedder.embed).search)
    return ranks


def run(queries: Sequence[dict[str, Any]], search: Search) -> list[dict[str, Any]]:
    """Return each query with the rank of its best wanted file and what was found."""
    rows = []
    for one in queries:
        names = search(one["query"])
        rank = next((place for place, name in enumerate(names, start=1) if name in one["files"]), None)
        rows.append({"kind": one["kind"], "query": one["query"], "rank": rank, "found": names})
    return rows


def report(ranks: dict[str, list[dict[str, Any]]], *, verbose: bool) -> None:
    """Print recall at 1 and at 10 in percent by kind of query."""
    print(f"{'recall at 1 / at 10, %':24} {'num':>4}" + "".join(f"{name:>15}" for name in ranks))
    kinds = list(dict.fromkeys(row["kind"] for row in next(iter(ranks.values()))))
    for kind in [*kinds, "all"]:
        cells, num = "", 0
        for rows in ranks.values():
            found = [row["rank"] for row in rows if kind in (row["kind"], "all")]
            num = len(found)
            shares = [100 * sum(rank is not None and rank <= cut for rank in found) / num for cut in (1, TOP)]
            cells += f"{f'{shares[0]:.0f} / {shares[1]:.0f}':>15}"
        print(f"{kind:24} {num:>4}{cells}")
    if verbose:
        missed = defaultdict(list)
        for name, rows in ranks.items():
            for row in rows:
                if row["rank"] != 1:
                    missed[name].append(f"{row['query']!r} at {row['rank']}")
        for name, texts in missed.items():
            print(f"\n{name}, not first ({len(texts)}): {'; '.join(texts)}")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, help="keep the libraries here")
    parser.add_argument("--json", type=Path, help="write every rank to this file")
    parser.add_argument("--verbose", action="store_true", help="name the queries whose file is not first")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ranks = measure((arguments.home or Path(folder)).absolute())
    print(processor())
    report(ranks, verbose=arguments.verbose)
    if arguments.json:
        outcome = {"processor": str(processor()), "ranks": ranks}
        arguments.json.write_text(json.dumps(outcome, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
