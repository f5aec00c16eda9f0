"""How well and how fast text in pictures is read: ours, RapidOCR as shipped, and Tesseract, in one run.

Draws about 300 pictures with known text (benchmarks/reading_pictures.py) and gives each to every reader in
turn. For each drawn line, the error is the least number of wrong characters to anywhere in what was read, so
the order does not count; "in order" compares the whole texts. Readers that are not installed are left out.
The first picture that a reader gets, a small one that is not counted, loads its networks.

One picture of each kind comes before the second of any, so that a run with --minutes compares all kinds.

Run: python benchmarks/reading.py [--num 300] [--minutes N] [--only NAME ...] [--kinds NAME ...] [--json FILE]
     [--errors N]
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from index_throughput import TreeMemory
from PIL import Image, ImageDraw, ImageFont
from reading_pictures import KINDS, KnownPicture, draw_all

READERS = ("smallsight", "rapidocr", "tesseract")
MIB = 1024 * 1024
UNORDERED = frozenset(
    {"desktop", "desktop 4K", "wide"}
)  # lists beside one another: no order is the right one


@dataclass(slots=True)
class Score:
    """What a reader got of one kind."""

    pictures: int = 0
    lines: int = 0
    exact: int = 0
    exact_without_spaces: int = 0
    characters: int = 0
    wrong: int = 0
    in_order: int = 0
    in_order_wrong: int = 0
    with_false_text: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def add(self, other: Score) -> None:
        """Add the numbers of another score."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(slots=True)
class Reader:
    """A running reader, its memory, and its scores by kind."""

    name: str
    process: subprocess.Popen[str]
    memory: TreeMemory
    scores: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))
    misses: list[tuple[str, str, str]] = field(default_factory=list)

    def read(self, path: Path) -> dict[str, Any] | None:
        """Return the answer for one picture; None if the reader has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(path, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            return None
        return json.loads(answer) if answer else None


def main() -> None:
    """Draw, read, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num", type=int, default=300, help="pictures, about")
    parser.add_argument("--minutes", type=float, help="stop after so many, and report what was read by then")
    parser.add_argument("--only", nargs="+", default=READERS, choices=READERS)
    parser.add_argument("--kinds", nargs="+", default=tuple(KINDS), choices=tuple(KINDS), metavar="KIND")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--errors", type=int, default=0, help="print so many misread lines of each reader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        readers = [reader for name in arguments.only if (reader := start(name, Path(place)))]
        numbers: dict[str, int] = defaultdict(int)
        end_s = time.monotonic() + 60 * (arguments.minutes or math.inf)
        for kind, draw in draw_all(arguments.num):
            if kind in arguments.kinds and time.monotonic() < end_s:
                picture = draw()
                path = picture.save(Path(place), numbers[kind])
                numbers[kind] += 1
                for offset in range(len(readers)):  # whoever is first finds the file least often in the cache
                    measure(readers[(offset + sum(numbers.values())) % len(readers)], picture, path)
                path.unlink()
        for reader in readers:
            stop(reader)
        report(readers, arguments.errors)
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(readers), indent=2) + "\n", encoding="utf-8")


def start(name: str, place: Path) -> Reader | None:
    """Start a reader and let it read a word; None if it is not installed."""
    script = Path(__file__).parent / "contenders" / "reading_contender.py"
    process = subprocess.Popen(
        [sys.executable, str(script), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    memory = TreeMemory(process.pid)
    memory.start()
    word = Image.new("RGB", (400, 200), "white")
    ImageDraw.Draw(word).text((40, 70), "warm up", "black", ImageFont.load_default(size=50))
    path = place / "word.png"
    word.save(path)
    reader = Reader(name, process, memory)
    if reader.read(path) is None:
        stop(reader)
        print(f"{name} is not installed")
        return None
    return reader


def stop(reader: Reader) -> None:
    """Let a reader end."""
    reader.memory.stop()
    reader.process.communicate()


def measure(reader: Reader, picture: KnownPicture, path: Path) -> None:
    """Let a reader read a picture and add to its scores."""
    answer = reader.read(path)
    if answer is None:
        raise SystemExit(f"{reader.name} ended while it read {path.name}")
    score, misses = compare(picture.lines, answer["lines"], is_ordered=picture.kind not in UNORDERED)
    score.wall_s, score.cpu_s = answer["wall_s"], answer["cpu_s"]
    reader.scores[picture.kind].add(score)
    reader.misses += [(path.name, *miss) for miss in misses]


def compare(
    drawn: Sequence[str], read: Sequence[str], *, is_ordered: bool
) -> tuple[Score, list[tuple[str, str]]]:
    """Return the score of one picture, and the drawn lines that were not read exactly, with what comes
    nearest.
    """
    score = Score(pictures=1, lines=len(drawn), with_false_text=int(not drawn and bool(read)))
    texts = [" ".join(line.split()) for line in read]
    joined, unspaced = "\n".join(texts), "".join(texts).replace(" ", "")
    known, misses = set(texts), []
    for line in drawn:
        score.characters += len(line)
        score.exact_without_spaces += line.replace(" ", "") in unspaced
        if line in known:
            score.exact += 1
            continue
        wrong, end = nearest(line, joined)
        score.wrong += wrong
        score.exact += wrong == 0
        if wrong:
            misses.append((line, joined[max(0, end - len(line)) : end]))
    if is_ordered:
        score.in_order = score.characters
        score.in_order_wrong = distance(" ".join(drawn), " ".join(texts))
    return score, misses


def nearest(line: str, text: str) -> tuple[int, int]:
    """Return the least edit distance of a line to any part of a text, and where that part ends."""
    costs = _last_row(line, text, free_start=True)
    end = int(np.argmin(costs))
    return min(int(costs[end]), len(line)), end


def distance(one: str, other: str) -> int:
    """Return the edit distance of two texts."""
    return int(_last_row(one, other, free_start=False)[-1])


def _last_row(line: str, text: str, *, free_start: bool) -> np.ndarray:
    codes = np.array([ord(letter) for letter in text], np.int32)
    positions = np.arange(len(text) + 1)
    costs = np.zeros(len(text) + 1, np.int64) if free_start else positions.copy()
    for letter in line:
        changed = costs[:-1] + (codes != ord(letter))
        costs = np.concatenate([[costs[0] + 1], np.minimum(costs[1:] + 1, changed)])
        costs = np.minimum.accumulate(costs - positions) + positions
    return costs


def report(readers: Sequence[Reader], num_errors: int) -> None:
    """Print the scores by kind and altogether, and some misread lines."""
    head = f"{'kind':<12}{'reader':<21}{'pictures':>9}{'CER %':>8}{'exact %':>9}{'no spaces':>10}"
    print(head + f"{'in order %':>11}{'false':>6}{'pictures/s':>11}{'CPU s':>8}")
    kinds = dict.fromkeys(kind for reader in readers for kind in reader.scores)
    for kind in (*kinds, "all"):
        for reader in readers:
            print(row(kind, reader.name, total(reader) if kind == "all" else reader.scores[kind]))
    for reader in readers:
        print(f"{reader.name}: peak memory of the process tree {reader.memory.peak_bytes / MIB:.0f} MiB")
        for name, drawn, read in reader.misses[:num_errors]:
            print(f"  {name}: {drawn!r} read as {read!r}")


def row(kind: str, name: str, score: Score) -> str:
    """Return a line of the table."""
    return (
        f"{kind:<12}{name:<21}{score.pictures:>9}{percent(score.wrong, score.characters):>8}"
        f"{percent(score.exact, score.lines):>9}{percent(score.exact_without_spaces, score.lines):>10}"
        f"{percent(score.in_order_wrong, score.in_order):>11}{score.with_false_text:>6}"
        f"{score.pictures / max(1e-9, score.wall_s):>11.2f}{score.cpu_s / max(1, score.pictures):>8.3f}"
    )


def percent(part: int, whole: int) -> str:
    """Return a share as text."""
    return f"{100 * part / whole:.2f}" if whole else "-"


def total(reader: Reader) -> Score:
    """Return the sum over all kinds."""
    score = Score()
    for one in reader.scores.values():
        score.add(one)
    return score


def as_json(readers: Sequence[Reader]) -> dict[str, Any]:
    """Return all scores, for comparison with later runs."""
    return {
        reader.name: {
            "peak_tree_mib": round(reader.memory.peak_bytes / MIB, 1),
            "all": asdict(total(reader)),
            "kinds": {kind: asdict(score) for kind, score in reader.scores.items()},
            "misread": reader.misses,
        }
        for reader in readers
    }


if __name__ == "__main__":
    main()
