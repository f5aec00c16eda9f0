"""Puts the example pictures on one sheet, ``docs/images/examples.jpg``, through Smallsight's own decoder.

Run it as ``python docs/draw_contact_sheet.py`` after drawing the example pictures again.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

from PIL import Image

from smallsight.media.decoder import PictureDecoder
from smallsight.media.file_kinds import FileKind, kind_of_file
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS.parent / "examples" / "pictures"
SHEET = DOCS / "images" / "examples.jpg"
COLUMNS = 9
CELL_PX, GAP_PX = 116, 4
BACKGROUND = (246, 246, 243)
MAX_SHEET_BYTES = 300_000


def thumbnails(folder: Path) -> list[Image.Image]:
    """Return a small image of every picture below the folder, in the order of their paths."""
    paths = sorted(
        path for path in folder.rglob("*") if path.is_file() and kind_of_file(path) is FileKind.PICTURE
    )
    limits = Limits()
    small = []
    with PictureDecoder(limits) as decoder:
        for path in paths:
            decoded = decoder.decode(read_picture_file(path, limits), thumbnail_side_px=2 * CELL_PX)
            small.append(Image.open(io.BytesIO(decoded.thumbnail_webp or b"")).convert("RGB"))
    return small


def draw_sheet(images: list[Image.Image]) -> Image.Image:
    """Lay the images out in rows, each cut to a square around its middle."""
    num_rows = math.ceil(len(images) / COLUMNS)
    step_px = CELL_PX + GAP_PX
    sheet = Image.new("RGB", (COLUMNS * step_px + GAP_PX, num_rows * step_px + GAP_PX), BACKGROUND)
    for number, image in enumerate(images):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize(
            (CELL_PX, CELL_PX), Image.Resampling.LANCZOS
        )
        row, column = divmod(number, COLUMNS)
        sheet.paste(square, (GAP_PX + column * step_px, GAP_PX + row * step_px))
    return sheet


def encode(sheet: Image.Image) -> bytes:
    """Return a JPEG under the limit, as good as that allows."""
    for quality in range(88, 40, -6):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= MAX_SHEET_BYTES:
            return buffer.getvalue()
    raise SystemExit(f"The sheet does not fit into {MAX_SHEET_BYTES} bytes.")


def main() -> int:
    """Draw the sheet and say how large it is."""
    images = thumbnails(PICTURES)
    data = encode(draw_sheet(images))
    SHEET.parent.mkdir(exist_ok=True)
    SHEET.write_bytes(data)
    sys.stdout.write(f"{len(images)} pictures, {len(data):,} bytes: {SHEET.relative_to(DOCS.parent)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
