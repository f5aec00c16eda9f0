"""Writes pictures that Smallsight-tiny was never trained on, for ``smallsight validate``.

They are drawn like those of its own evaluation, but from other seeds: words, things and fonts of the test
split, which training never shows.

Run: PYTHONPATH=. python benchmarks/held_out_pictures.py FOLDER [--num 200]   (once before: training.assets)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.evaluate import CLEAN, FIRST_SEED, MEME, THINGS_ONLY
from training.scenes import make_scene

SEED = FIRST_SEED + 3_000_000  # beyond those of evaluation, stickers and examples
LEVELS = (CLEAN, THINGS_ONLY, MEME, THINGS_ONLY)  # by turns


def write_pictures(folder: Path, num: int) -> None:
    """Write this many pictures as PNG files, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num):
        path = folder / f"{number:04}.png"
        if not path.exists():
            make_scene(SEED + number, LEVELS[number % len(LEVELS)], "test").image.save(path)


def main() -> None:
    """Read the command line and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--num", type=int, default=200)
    options = parser.parse_args()
    write_pictures(options.folder, options.num)


if __name__ == "__main__":
    main()
