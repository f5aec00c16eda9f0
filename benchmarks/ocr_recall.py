"""How many example pictures with text are found first by three of their words.

The words come from the manifest, that is from what is drawn in the picture, not from what was read in it.

Run: python benchmarks/ocr_recall.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from smallsight.cli.index import CommandProgress
from smallsight.cli.output import get_output
from smallsight.library.search.tokens import tokenize
from smallsight.services.indexing import IndexingApplication
from smallsight.settings import Settings

EXAMPLES = Path(__file__).parent.parent / "examples"
WORDS_ASKED = 3


def main() -> None:
    """Index the examples in a temporary library, ask for each of them, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--seed", type=int, default=0, help="choice of the words")
    arguments = parser.parse_args()
    manifest = json.loads((EXAMPLES / "pictures.json").read_text(encoding="utf-8"))["pictures"]
    with tempfile.TemporaryDirectory() as home:
        result = measure(Settings(home=Path(home)), manifest, random.Random(arguments.seed))
    print(f"found first: {result['found_first']} of {result['asked']} pictures with text")
    for miss in result["misses"]:
        print(f"  missed: {miss['file']}  asked: {miss['query']!r}  rank: {miss['rank']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def measure(settings: Settings, manifest: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    """Return how many pictures came first, and those that did not with the rank they came at."""
    asked = 0
    misses = []
    with IndexingApplication(settings) as application:
        application.index([EXAMPLES / "pictures"], CommandProgress(get_output(quiet=True)), lambda: False)
        for entry in manifest:
            words = words_of(entry["text"])
            if not words:
                continue
            asked += 1
            query = " ".join(chance.sample(words, min(WORDS_ASKED, len(words))))
            hits = application.searcher.search(query, limit=20).hits
            wanted = EXAMPLES / "pictures" / entry["file"]
            same_text = {
                EXAMPLES / "pictures" / other["file"] for other in manifest if other["text"] == entry["text"]
            }
            ranks = [
                rank
                for rank, hit in enumerate(hits, start=1)
                if not same_text.isdisjoint((hit.path, *hit.other_paths))
            ]
            if not ranks or ranks[0] != 1:
                misses.append(
                    {
                        "file": str(wanted.relative_to(EXAMPLES)),
                        "query": query,
                        "rank": ranks[0] if ranks else None,
                    }
                )
    return {"asked": asked, "found_first": asked - len(misses), "misses": misses}


def words_of(lines: list[str]) -> list[str]:
    """Return the distinct words of a text a person would remember: three letters or more, or CJK."""
    terms = [token.term for line in lines for token in tokenize(line)]
    return list(dict.fromkeys(term for term in terms if len(term) >= 3 or not term.isascii()))


if __name__ == "__main__":
    main()
