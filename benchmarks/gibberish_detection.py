"""Measure the detector of gibberish on answers of Smallsight-tiny, sound and with weights broken on purpose.

Run it as ``python benchmarks/gibberish_detection.py [--json FILE] [--write FILE]``. The sound model answers
four questions about every example picture, and none of its answers should be flagged. Each broken copy
describes every second picture; descriptions under four words and 30 characters are left out, because nobody
could say what they are. ``--write`` keeps the answers for ``tests/unit/policy/real_answers.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from broken_weights import DAMAGES, write_broken

import smallsight
from smallsight.policy.gibberish import gibberish_reasons
from smallsight.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
READING = "What does the text say?"
QUESTIONS = (None, READING, "How many things are there?", "What colour is the background?")
MAX_TOKENS = 64
MIN_WORDS, MIN_CHARACTERS = 4, 30


class GivenAnswer(TypedDict):
    """An answer as the detector takes it."""

    text: str
    finish_reason: str
    reads_text: bool


def answers(
    folder: Path, pictures: Sequence[Path], question: str | None, home: Path
) -> Iterator[GivenAnswer]:
    """Yield the answers of a model about pictures, in fp32; pictures that cannot be read have none."""
    with smallsight.load(folder, precision="fp32", settings=Settings(home=home)) as model:
        for one in model.describe_many(pictures, prompt=question, max_tokens=MAX_TOKENS):
            if not isinstance(one, smallsight.SmallsightError):
                yield {
                    "text": one.text,
                    "finish_reason": one.finish_reason,
                    "reads_text": question == READING,
                }


def can_be_told(answer: GivenAnswer) -> bool:
    """Return whether an answer is long enough to say whether it is gibberish."""
    return len(answer["text"].split()) >= MIN_WORDS or len(answer["text"]) >= MIN_CHARACTERS


def num_flagged(found: Sequence[GivenAnswer]) -> int:
    """Return how many answers the detector calls gibberish."""
    return sum(bool(gibberish_reasons(**one)) for one in found)


def main() -> None:
    """Collect the answers and print how many of each model are flagged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    parser.add_argument("--write", type=Path, help="write the answers to this file")
    options = parser.parse_args()
    pictures = sorted(path for path in (ROOT / "examples" / "pictures").rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        good = [one for ask in QUESTIONS for one in answers(SHIPPED, pictures, ask, scratch / "home")]
        counts = {"sound": (num_flagged(good), len(good))}
        broken: dict[str, list[GivenAnswer]] = {}
        for number, (damage, apply) in enumerate(DAMAGES.items()):
            folder = write_broken(SHIPPED, scratch / str(number), apply)
            found = list(answers(folder, pictures[::2], None, scratch / "home"))
            broken[damage] = [one for one in found if can_be_told(one)]
            counts[damage] = (num_flagged(broken[damage]), len(broken[damage]))
    for title, (flagged, num) in counts.items():
        print(f"{title:45} {flagged:4} of {num}")
    if options.write:
        kept = {"good": good, "broken": broken}
        options.write.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
