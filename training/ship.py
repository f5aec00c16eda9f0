"""Puts a trained model into the package: its files, what it reaches, a picture of examples, and its card.

The heads that only training uses go to ``begun/``, where a next run begins.

Run: python -m training.ship RUN_FOLDER [--pictures N] [--to FOLDER]

Every number on the card comes from this run; only the prose of ``card.txt`` is written by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from PIL import Image, ImageDraw

import smallsight
from smallsight.settings import Settings
from training.assets import font
from training.captions import DESCRIBE, describe
from training.evaluate import CLEAN, FIRST_SEED, MEME, THINGS_ONLY, measure, table
from training.scenes import Scene, make_scene
from training.train import HEADS

HERE = Path(__file__).parent
BEGUN = HERE / "begun"  # its model is a link to what is shipped
SHIPPED = HERE.parent / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
FILES = (
    "config.json generation_config.json model.safetensors preprocessor_config.json processor_config.json "
    "chat_template.json tokenizer.json tokenizer_config.json"
).split()
PRECISIONS = ("bf16", "int8", "int4")
COLUMNS, ROWS = 4, 3
CELL_PX, GAP_PX, TEXT_PX = 192, 12, 92
EXAMPLE_SEED = FIRST_SEED + 2_000_000  # beyond those that are measured


def ship(run: Path, folder: Path, num_pictures: int) -> None:
    """Copy, measure, draw and write."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(run / "model" / name, folder / name)
    shutil.copyfile(run / HEADS, BEGUN / HEADS)
    results: dict[str, dict[str, Any]] = {}
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home))
            with smallsight.load(folder.absolute(), precision=precision, settings=settings) as model:
                results[precision] = measure(model, num_pictures).as_data()
                if precision == PRECISIONS[0]:
                    pictures = list(examples())
                    said = [model.ask(scene.image, DESCRIBE[0]).text.strip() for scene in pictures]
                    draw_grid(pictures, said).save(folder / "examples.png", optimize=True)
    measured = {"pictures_in_each_series": num_pictures, "precisions": results}
    (folder / "evaluation.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    values = {
        "table": "\n".join(table(results)),
        "num_pictures": f"{num_pictures:,}",
        "seen": f"{last['pictures']:,}",
        "hours": f"{last['seconds'] / 3600:.1f}",
        "megabytes": f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f}",
    }
    card = Template((HERE / "card.txt").read_text(encoding="utf-8")).substitute(values)
    (folder / "README.md").write_text(card, encoding="utf-8")


def examples() -> Iterator[Scene]:
    """Yield pictures like those of the series, by turns."""
    for number in range(COLUMNS * ROWS):
        yield make_scene(EXAMPLE_SEED + number, (CLEAN, THINGS_ONLY, MEME, THINGS_ONLY)[number % 4], "test")


def draw_grid(scenes: list[Scene], said: list[str]) -> Image.Image:
    """Draw the pictures with what the model says below, and in grey what is there where that differs."""
    width, height = CELL_PX + GAP_PX, CELL_PX + TEXT_PX
    grid = Image.new("RGB", (COLUMNS * width + GAP_PX, ROWS * height + GAP_PX), "white")
    draw, letters = ImageDraw.Draw(grid), font("DejaVuSans.ttf", 11)
    for number, (scene, words) in enumerate(zip(scenes, said, strict=True)):
        x, y = GAP_PX + number % COLUMNS * width, GAP_PX + number // COLUMNS * height
        grid.paste(scene.image, (x, y))
        lines = [(line, "black") for line in textwrap.wrap(words, 32)[:3]]
        if (truth := describe(scene)) != words:
            lines += [(line, "#8a8a8a") for line in textwrap.wrap(truth, 32)[:3]]
        for index, (line, colour) in enumerate(lines):
            draw.text((x, y + CELL_PX + 4 + 14 * index), line, font=letters, fill=colour)
    return grid


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--pictures", type=int, default=400, help="in each series")
    parser.add_argument("--to", type=Path, default=SHIPPED)
    options = parser.parse_args()
    ship(options.run, options.to, options.pictures)


if __name__ == "__main__":
    main()
