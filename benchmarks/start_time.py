"""How long short commands take in two source trees, from a cold interpreter to the exit.

Run it as ``python benchmarks/start_time.py TREE_BEFORE TREE_AFTER [--rounds 11] [--json FILE]``; a tree is
a checkout. Each has a library of its own of a few drawn pictures, which it indexes itself. Every round runs
each command once in each tree, and the tree that comes first changes with the round; one round before is
not counted. Processor time is the command's and that of the children it waited for. A tree that lacks an
option has no times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from smallsight.machine.processor import processor

NAMES = ("before", "after")
LINES = (
    "MONDAY: NEED COFFEE",
    "TIRED OF MONDAYS",
    "THIS IS FINE",
    "the garden in spring",
    "train to the sea 07:42",
    "total 18.90 EUR",
    "see you at eight",
    "happy birthday, Ada",
    "server is down again",
    "keep out of reach",
    "two cats on a chair",
    "turn left at the mill",
)


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed; ``{round}`` is the round and ``{picture}`` a picture of the library."""

    name: str
    words: tuple[str, ...]


COMMANDS = (
    Command("search by words", ("search", "--mode", "keyword", "coffee")),
    Command("search by meaning", ("search", "exhausted", "on", "a", "weekday")),
    Command("show", ("show", "{picture}")),
    Command("edit --tag", ("edit", "{picture}", "--tag", "round {round}")),
    Command("index, nothing new", ("index",)),
    Command("--help", ("--help",)),
)


@dataclass(slots=True)
class Tree:
    """A checkout with its own data folder, and the times of its commands."""

    source: Path
    home: Path
    wall_s: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def run(self, words: Sequence[str]) -> tuple[float, float, str | None]:
        """Run a command; return its wall and processor seconds, and why it failed."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.source / "src"),
            "SMALLSIGHT_HOME": str(self.home),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with tempfile.TemporaryFile() as errors:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "smallsight", *words],
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            last_line = (errors.read().decode(errors="replace").strip().splitlines() or [""])[-1]
        problem = f"exit code {process.returncode}: {last_line}" if process.returncode else None
        return wall_s, usage.ru_utime + usage.ru_stime, problem

    def measure(self, command: Command, picture: Path, number: int) -> None:
        """Run a command once; round 0 is not counted."""
        words = [word.format(picture=picture, round=number) for word in command.words]
        wall_s, cpu_s, problem = self.run(words)
        if problem:
            self.problems[command.name] = problem
        elif number:
            self.wall_s.setdefault(command.name, []).append(wall_s)
            self.cpu_s.setdefault(command.name, []).append(cpu_s)


def draw_pictures(folder: Path) -> Path:
    """Draw one picture for each line of text, and return one of them."""
    folder.mkdir()
    font = ImageFont.load_default(size=26)
    for number, line in enumerate(LINES):
        image = Image.new("RGB", (32 + 16 * len(line), 80), (250, 250, 245))
        ImageDraw.Draw(image).text((16, 22), line, font=font, fill=(10, 10, 30))
        image.save(folder / f"{number}.png")
    return folder / "0.png"


def rows(trees: Sequence[Tree]) -> list[dict[str, Any]]:
    """Return the medians of each command, and after divided by before."""
    made = []
    for command in COMMANDS:
        row: dict[str, Any] = {"command": command.name, "typed": " ".join(("smallsight", *command.words))}
        for measured in ("wall_s", "cpu_s"):
            medians = [
                statistics.median(times) if (times := getattr(tree, measured).get(command.name)) else None
                for tree in trees
            ]
            before, after = medians
            row[measured] = dict(zip(NAMES, medians, strict=True))
            row[measured]["ratio"] = after / before if before and after else None
        row["problems"] = [tree.problems.get(command.name) for tree in trees]
        made.append(row)
    return made


def report(made: Sequence[dict[str, Any]]) -> None:
    """Print the table in Markdown, and below it what failed."""

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    print("| command | wall before, s | after | ratio | CPU before, s | after | ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in made:
        cells = [shown(row[what][key]) for what in ("wall_s", "cpu_s") for key in (*NAMES, "ratio")]
        print(f"| `{row['typed']}` | {' | '.join(cells)} |")
    for row in made:
        for name, problem in zip(NAMES, row["problems"], strict=True):
            if problem:
                print(f"{row['command']}, {name}: {problem}")


def main() -> int:
    """Measure both trees, print, and return 1 if a command failed in the second one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trees", type=Path, nargs=2, metavar="TREE")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        below = Path(temporary)
        picture = draw_pictures(below / "pictures")
        trees = [
            Tree(source.resolve(), below / name) for name, source in zip(NAMES, arguments.trees, strict=True)
        ]
        for tree in trees:
            if not (tree.source / "src" / "smallsight").is_dir():
                parser.error(f"{tree.source} is not a checkout")
            tree.home.mkdir()
            if problem := tree.run(["index", str(picture.parent)])[2]:
                parser.error(f"{tree.source} could not index: {problem}")
        for number in range(arguments.rounds + 1):
            for command in COMMANDS:
                for tree in trees if number % 2 else reversed(trees):
                    tree.measure(command, picture, number)
    made = rows(trees)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {arguments.rounds} rounds\n")
    report(made)
    if arguments.json:
        arguments.json.write_text(json.dumps({"processor": str(processor()), "rows": made}, indent=1))
    return int(bool(trees[1].problems))


if __name__ == "__main__":
    sys.exit(main())
