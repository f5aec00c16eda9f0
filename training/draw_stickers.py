"""Draws the stickers among the example pictures: of the test split, so that no training has seen them.

Run: python -m training.draw_stickers [--out FOLDER]

Writes ``stickers/`` and ``stickers.json``, which says what is in each. They are the first pictures that have
what is asked for, not those that a model does best at.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.captions import describe
from training.evaluate import FIRST_SEED
from training.levels import Level
from training.scenes import Scene, make_scene

FOLDER = Path(__file__).parent.parent / "examples"
SEED = FIRST_SEED + 1_000_000  # beyond those that evaluation looks at
PLAIN = Level(10, (22, 34), 2, 3, (52, 88), ("plain", "gradient", "texture"))
WANTED: tuple[Callable[[Scene], bool], ...] = (
    lambda scene: len(scene.things) == 1 and not scene.lines,
    lambda scene: len(scene.things) == 1 and len(scene.lines) == 1,
    lambda scene: len(scene.things) == 2 and not scene.lines,
    lambda scene: len(scene.things) == 1 and len(scene.lines) == 2,
)
ROUNDS = 2


def scenes() -> list[Scene]:
    """Return the stickers, no two with the same thing in them."""
    chosen: list[Scene] = []
    seed, seen = SEED, set[str]()
    for wanted in WANTED * ROUNDS:
        while True:
            scene = make_scene(seed, PLAIN, "test")
            seed += 1
            names = {thing.name for thing in scene.things}
            if wanted(scene) and len(names) == len(scene.things) and not names & seen:
                break
        seen |= names
        chosen.append(scene)
    return chosen


def as_data(name: str, scene: Scene) -> dict[str, Any]:
    """Return what stickers.json says about one."""
    return {
        "file": name,
        "shows": describe(scene),
        "things": [{"name": thing.name, "colour": thing.colour} for thing in scene.things],
        "text": [line.text for line in sorted(scene.lines, key=lambda line: line.box[1])],
    }


def main() -> None:
    """Read the command line, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    folder = parser.parse_args().out / "stickers"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, scene in enumerate(scenes(), 1):
        name = f"sticker_{number}.png"
        scene.image.save(folder / name, optimize=True)
        rows.append(as_data(name, scene))
    unwritten = sorted((row for row in rows if not row["text"]), key=lambda row: -len(row["things"]))
    drawn = [thing["name"] for row in unwritten for thing in row["things"]]
    queries = [{"query": name, "kind": "drawn"} for name in drawn]
    text = json.dumps({"stickers": rows, "demo_queries": queries}, indent=1)
    (folder.parent / "stickers.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
