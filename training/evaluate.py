"""Measures a model on pictures kept for the test, with words, fonts, pairs and backgrounds never trained on.

Run: python -m training.evaluate MODEL_FOLDER [--precisions bf16 int8 int4] [--pictures N] [--json FILE]

Four series: single clean lines, memes of two lines, scenes of things, and scenes with a thing of one colour;
every answer is asked for through ``smallsight.load``. Prints a table, and says which characters are confused
most.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import track

import smallsight
from smallsight.model.model import Model
from smallsight.settings import Settings
from training.captions import DESCRIBE, NUMBERS, READ, read
from training.lettering import Line
from training.levels import Level
from training.scenes import Scene, make_scene
from training.vocabulary import THINGS, plural

CLEAN = Level(12, (16, 36), 1, 1, (36, 64), ("plain", "gradient"), ("top", "bottom", "middle"), ("plain",))
MEME = Level(
    12,
    (18, 34),
    2,
    2,
    (36, 80),
    ("plain", "gradient", "texture"),
    looks=("plain", "outline", "bar"),
    spoiling=0.3,
)
THINGS_ONLY = Level(
    8, (20, 30), 1, 4, (32, 90), ("plain", "gradient", "texture", "noise", "stripes"), spoiling=0.3
)
FIRST_SEED = 1 << 50  # training counts from below
AT_ONCE = 8
LENGTHS = ((1, 4), (5, 8), (9, 12))
FONT_SIZES = ((16, 20), (21, 26), (27, 36))
GROUPS = (
    "clean lines",
    *(f"clean, {least} to {most} characters" for least, most in LENGTHS),
    *(f"clean, font of {least} to {most} px" for least, most in FONT_SIZES),
    "memes of two lines",
)


@dataclass
class Tally:
    """Right and wanted, added up."""

    right: float = 0
    wanted: float = 0

    def add(self, right: float, wanted: float = 1) -> None:
        """Count one more."""
        self.right += right
        self.wanted += wanted

    @property
    def share(self) -> float:
        """Return right over wanted; 0 for nothing."""
        return self.right / self.wanted if self.wanted else 0.0


@dataclass
class Found:
    """What one precision reached."""

    errors: dict[str, Tally] = field(default_factory=dict)
    exact: dict[str, Tally] = field(default_factory=dict)
    hits: int = 0
    named: int = 0
    shown: int = 0
    colours: Tally = field(default_factory=Tally)
    counts: Tally = field(default_factory=Tally)
    confused: Counter[str] = field(default_factory=Counter)

    @property
    def things_f1(self) -> float:
        """Return the harmonic mean of precision and recall over things named."""
        return 2 * self.hits / max(1, self.named + self.shown)

    def read(self, group: str, said: str, wanted: str) -> None:
        """Count the characters of one text."""
        distance = edit_distance(said, wanted)
        self.errors.setdefault(group, Tally()).add(distance, len(wanted))
        self.exact.setdefault(group, Tally()).add(said == wanted)

    def read_clean(self, said: str, line: Line) -> None:
        """Count the characters of a clean line, in its groups too."""
        groups = ["clean lines"]
        groups += [f"clean, {a} to {b} characters" for a, b in LENGTHS if a <= len(line.text) <= b]
        groups += [f"clean, font of {a} to {b} px" for a, b in FONT_SIZES if a <= line.font_px <= b]
        for group in groups:
            self.read(group, said, line.text)
        if len(said) == len(line.text):
            self.confused.update(f"{b} as {a}" for a, b in zip(said, line.text, strict=True) if a != b)

    def name(self, said: str, scene: Scene) -> None:
        """Count the things that a caption names."""
        names, seen = named_things(said), {thing.name for thing in scene.things}
        self.hits += len(names & seen)
        self.named += len(names)
        self.shown += len(seen)

    def as_data(self) -> dict[str, Any]:
        """Return the metrics for JSON."""
        return {
            "character_error_rate": {name: round(tally.share, 4) for name, tally in self.errors.items()},
            "exact_lines": {name: round(tally.share, 4) for name, tally in self.exact.items()},
            "things_f1": round(self.things_f1, 4),
            "colours": round(self.colours.share, 4),
            "counts": round(self.counts.share, 4),
            "confused": self.confused.most_common(12),
        }


def edit_distance(said: str, wanted: str) -> int:
    """Return how many characters to put in, take out or change (Levenshtein)."""
    row = list(range(len(wanted) + 1))
    for number, letter in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(wanted, 1):
            diagonal, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, diagonal + (letter != other)),
            )
    return row[-1]


def named_things(caption: str) -> set[str]:
    """Return the things a caption names, outside of what it quotes."""
    words = set(re.findall(r"[a-z]+", re.sub(r'"[^"]*"', "", caption).lower()))
    return {name for name in THINGS if name in words or plural(name) in words}


def scenes(level: Level, num: int, wanted: Callable[[Scene], bool]) -> Iterator[Scene]:
    """Yield this many scenes of the test split that are what is wanted."""
    seed = FIRST_SEED
    while num:
        scene = make_scene(seed, level, "test")
        seed += 1
        if wanted(scene):
            num -= 1
            yield scene


def measure(model: Model, num_pictures: int) -> Found:
    """Ask about the four series."""
    found = Found()

    def ask(pair: tuple[Scene, str]) -> str:
        return model.ask(pair[0].image, pair[1], max_tokens=96).text.strip()

    def answers(asked: Iterable[tuple[Scene, str]]) -> Iterator[tuple[Scene, str]]:
        pairs = list(asked)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            made = pool.map(ask, pairs)
            yield from zip((scene for scene, _ in pairs), track(made, total=len(pairs)), strict=True)

    clean = scenes(CLEAN, num_pictures, lambda scene: len(scene.lines) == 1)
    for scene, said in answers((scene, READ[0]) for scene in clean):
        found.read_clean(said, scene.lines[0])
    memes = scenes(MEME, num_pictures, lambda scene: len(scene.lines) == 2)
    for scene, said in answers((scene, READ[0]) for scene in memes):
        found.read("memes of two lines", said, read(scene))
    shown = list(scenes(THINGS_ONLY, num_pictures, lambda scene: bool(scene.things)))
    for scene, said in answers((scene, DESCRIBE[0]) for scene in shown):
        found.name(said, scene)
    # Most things have fixed colours: without a separate series, few questions would decide.
    coloured = scenes(THINGS_ONLY, num_pictures, lambda scene: any(_about_colours(scene)))
    for tally, asked in (
        (found.colours, [question for scene in coloured for question in _about_colours(scene)]),
        (found.counts, [question for scene in shown for question in _about_counts(scene)]),
    ):
        said_to = answers((question.scene, question.text) for question in asked)
        for (_, said), question in zip(said_to, asked, strict=True):
            tally.add(said.strip(".").lower() == question.wanted)
    return found


class Question(NamedTuple):
    """What is asked about a scene, and the one word that is right."""

    scene: Scene
    text: str
    wanted: str


def _about_colours(scene: Scene) -> Iterator[Question]:
    for name, count in Counter(thing.name for thing in scene.things).items():
        colours = {thing.colour for thing in scene.things if thing.name == name}
        if len(colours) == 1 and None not in colours:
            verb, named = ("is", name) if count == 1 else ("are", plural(name))
            yield Question(scene, f"What colour {verb} the {named}?", str(next(iter(colours))))


def _about_counts(scene: Scene) -> Iterator[Question]:
    for name, count in Counter(thing.name for thing in scene.things).items():
        yield Question(scene, f"How many {plural(name)} are there?", NUMBERS[count])


def main() -> None:
    """Read the command line, measure each precision, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--precisions", nargs="+", default=["bf16", "int8", "int4"])
    parser.add_argument("--pictures", type=int, default=400, help="in each series")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    for precision in options.precisions:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home))
            with smallsight.load(options.model.absolute(), precision=precision, settings=settings) as model:
                results[precision] = measure(model, options.pictures).as_data()
    print_table(results)
    if options.json:
        content = {"pictures_in_each_series": options.pictures, "precisions": results}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table, a column for each precision."""
    lines = ["| | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    first = next(iter(results.values()))
    rows: list[tuple[str, tuple[str, ...]]] = []
    for what, key in (("character error rate", "character_error_rate"), ("read exactly", "exact_lines")):
        rows += [(f"{what}, {group}", (key, group)) for group in GROUPS if group in first[key]]
    rows += [("F1 of things named", ("things_f1",)), ("colours", ("colours",)), ("counts", ("counts",))]
    for name, path in rows:
        shares = [reduce(getitem, path, one) for one in results.values()]
        lines.append(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return lines


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print the table, and what was confused."""
    print("\n".join(table(results)))
    for precision, one in results.items():
        print(precision, "confused:", ", ".join(f"{pair} ({count})" for pair, count in one["confused"]))


if __name__ == "__main__":
    main()
