"""Draws what a search finds among the example pictures as a picture, ``docs/images/search.png``.

Run it as ``python docs/draw_search_result.py [--query WORDS] [--home FOLDER]``. It runs the real commands,
``smallsight index`` and ``smallsight search --json``, with a fresh data folder (or with FOLDER, which saves
reading the text again), and draws the first results: thumbnail, the text around the match with the matched
words marked, the file's name and how it was found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

DOCS = Path(__file__).resolve().parent
CHECKOUT = DOCS.parent
EXAMPLES = CHECKOUT / "examples" / "pictures"
SHEET = DOCS / "images" / "search.png"
COLUMNS, ROWS = 3, 2
CARD_PX, IMAGE_PX, GAP_PX, HEAD_PX = (316, 318), (316, 208), 16, 62
PAPER, CARD, EDGE, INK, GREY, MARK = "#f4f4f0", "#ffffff", "#d8d8d2", "#1c1c22", "#6d6d76", "#ffe27a"
FOUND_BY = {"keyword": "words", "semantic": "meaning", "substring": "part of a word", "typo": "spelling"}
MAX_SHEET_BYTES = 300_000

Chunk = tuple[str, bool]


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow, so that the picture is the same on every machine."""
    return ImageFont.load_default(size=size)


def search(query: str, home: Path) -> list[dict[str, Any]]:
    """Index the example pictures and return the first hits of a search, as ``--json`` prints them."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    program = [sys.executable, "-m", "smallsight"]
    subprocess.run([*program, "index", "--quiet", EXAMPLES], env=environment, check=True)  # noqa: S603
    found = subprocess.run(  # noqa: S603 - our own command
        [*program, "search", "--json", "--limit", str(COLUMNS * ROWS), *query.split()],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    hits: list[dict[str, Any]] = json.loads(found.stdout)
    return hits


def marked(hit: dict[str, Any]) -> list[Chunk]:
    """Return the words of the excerpt, each with whether it is part of a match."""
    text = hit["excerpt"]
    is_marked = [False] * len(text)
    for start, end in hit["highlights"]:
        is_marked[start:end] = [True] * (end - start)
    chunks: list[Chunk] = []
    position = 0
    for word in text.split():
        position = text.index(word, position)
        inside = is_marked[position : position + len(word)]
        cuts = [n for n in range(1, len(word)) if inside[n] != inside[n - 1]]
        pieces = [word[a:b] for a, b in zip([0, *cuts], [*cuts, len(word)], strict=True)]
        starts = [0, *cuts]
        for number, piece in enumerate(pieces):
            space = " " if number == len(pieces) - 1 else ""
            chunks.append((piece + space, inside[starts[number]]))
        position += len(word)
    return chunks


def write_words(draw: ImageDraw.ImageDraw, chunks: list[Chunk], left: int, top: int, right: int) -> None:
    """Write at most three lines of words, with the matched ones on a marker's colour."""
    size = font(16)
    x, line = float(left), 0
    for text, is_match in chunks:
        width = draw.textlength(text.rstrip(), font=size)
        if x + width > right:
            x, line = float(left), line + 1
            if line == 3:
                return
        y = top + 22 * line
        if is_match:
            draw.rectangle((x - 1, y - 1, x + width, y + 19), fill=MARK)
        draw.text((x, y), text, font=size, fill=INK)
        x += draw.textlength(text, font=size)


def draw_card(sheet: Image.Image, hit: dict[str, Any], left: int, top: int) -> None:
    """Draw one result."""
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((left, top, left + CARD_PX[0], top + CARD_PX[1]), 8, fill=CARD, outline=EDGE)
    with Image.open(hit["thumbnail"]) as thumbnail:
        image = thumbnail.convert("RGB")
    image.thumbnail((IMAGE_PX[0] - 20, IMAGE_PX[1] - 16), Image.Resampling.LANCZOS)
    offset = ((IMAGE_PX[0] - image.width) // 2, (IMAGE_PX[1] - image.height) // 2)
    sheet.paste(image, (left + offset[0], top + offset[1]))
    write_words(draw, marked(hit), left + 12, top + IMAGE_PX[1] + 6, left + CARD_PX[0] - 10)
    how = " + ".join(FOUND_BY.get(way, way) for way in hit["found_by"])
    name = Path(hit["path"]).name
    name = name if len(name) <= 24 else name[:23] + "…"
    draw.text((left + 12, top + CARD_PX[1] - 28), f"{name}  ·  {how}", font=font(13), fill=GREY)


def draw_sheet(query: str, hits: list[dict[str, Any]]) -> Image.Image:
    """Lay the results out below the command that found them."""
    width = GAP_PX + COLUMNS * (CARD_PX[0] + GAP_PX)
    sheet = Image.new("RGB", (width, HEAD_PX + ROWS * (CARD_PX[1] + GAP_PX)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((GAP_PX, 14, width - GAP_PX, HEAD_PX - 12), 8, fill=CARD, outline=EDGE)
    draw.text((GAP_PX + 14, 21), f"$ smallsight search {query}", font=font(19), fill=INK)
    for number, hit in enumerate(hits):
        row, column = divmod(number, COLUMNS)
        draw_card(sheet, hit, GAP_PX + column * (CARD_PX[0] + GAP_PX), HEAD_PX + row * (CARD_PX[1] + GAP_PX))
    return sheet


def main() -> int:
    """Search, draw, and report the size of the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--query", default="monday coffee")
    parser.add_argument("--home", type=Path, help="a data folder to use instead of a fresh one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smallsight-") as scratch:
        sheet = draw_sheet(options.query, search(options.query, options.home or Path(scratch)))
    sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(SHEET, optimize=True)
    num_bytes = SHEET.stat().st_size
    if num_bytes > MAX_SHEET_BYTES:
        raise SystemExit(f"The picture takes {num_bytes} bytes (limit {MAX_SHEET_BYTES}).")
    sys.stdout.write(f"{sheet.width} x {sheet.height}, {num_bytes:,} bytes: {SHEET.relative_to(CHECKOUT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
