"""Files that other photo software stumbled on, in one folder: every one is indexed, or named with its reason.

``docs/real-world-log.md`` has the table of the reports.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import IFDRational

from .conftest import Command

LEFT, RIGHT = (230, 30, 30), (30, 30, 230)
WIDTH, HEIGHT = 320, 160


def halves(left: tuple[int, int, int] = LEFT, right: tuple[int, int, int] = RIGHT) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), left)
    image.paste(right, (WIDTH // 2, 0, WIDTH, HEIGHT))
    return image


def noise(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, picture_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, picture_format, **options)
    return stream.getvalue()


def oriented(value: int) -> bytes:
    exif = Image.Exif()
    exif[Base.Orientation] = value
    return encoded(halves(), "JPEG", exif=exif)


def with_impossible_metadata() -> bytes:
    exif = Image.Exif()
    exif[Base.DateTime] = "0000:00:00 00:00:00"
    exif.get_ifd(IFD.GPSInfo)[2] = (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "    :  :     :  :  "
    return encoded(halves(), "JPEG", exif=exif)


def animation(num_frames: int = 3) -> list[Image.Image]:
    return [ImageChops.offset(halves(), 40 * number, 0) for number in range(num_frames)]


def gif() -> bytes:
    first, *others = animation()
    return encoded(first, "GIF", save_all=True, append_images=others, duration=100, optimize=False)


def stereo_cut() -> bytes:
    data = encoded(halves(), "MPO", save_all=True, append_images=[noise(5)])
    return data[: data.rindex(b"\xff\xd8\xff") + 20]


def bitmap_with_unused_alpha() -> bytes:
    """Return a BMP of 32 bits whose fourth byte says nothing and is 0."""
    rows = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rows[..., :3] = np.asarray(halves())[::-1, :, ::-1]
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 32, 0, rows.nbytes, 2835, 2835, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + rows.nbytes, 0, 0, 54) + header + rows.tobytes()


def deep_grey(picture_format: str) -> bytes:
    values = np.full((HEIGHT, WIDTH), 0x2000, np.uint16)
    values[:, WIDTH // 2 :] = 0xC000
    return encoded(Image.fromarray(values), picture_format)


GREYS = ((32, 32, 32), (192, 192, 192))
COLOURS = (LEFT, RIGHT)
PICTURES: dict[str, tuple[bytes, tuple[tuple[int, int, int], tuple[int, int, int]]]] = {
    "orientation_0.jpg": (oriented(0), COLOURS),
    "orientation_9.jpg": (oriented(9), COLOURS),
    "orientation_65535.jpg": (oriented(65_535), COLOURS),
    "impossible_metadata.jpg": (with_impossible_metadata(), COLOURS),
    "end_cut.jpg": (encoded(halves(), "JPEG")[:-6], COLOURS),
    "stereo_cut.jpg": (stereo_cut(), COLOURS),
    "no_trailer.gif": (gif().removesuffix(b";"), COLOURS),
    "comment_at_the_end.gif": (gif().removesuffix(b";") + b"!\xfe\x03end\x00;", COLOURS),
    "deep.png": (deep_grey("PNG"), GREYS),
    "deep.tif": (deep_grey("TIFF"), GREYS),
    "unused_alpha.bmp": (bitmap_with_unused_alpha(), COLOURS),
    "《陰毛無し》" + "水泳の授業" * 12 + ".png": (encoded(halves(), "PNG"), COLOURS),
}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("files")
    command = Command(root / "home")
    folder = root / "pictures"
    for path in (command.home, folder):
        path.mkdir()
    for number, (name, (data, _)) in enumerate(PICTURES.items()):
        assert len(name.encode()) <= 255, number
        (folder / name).write_bytes(data)
    patch = pytest.MonkeyPatch()
    patch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    report = json.loads(command.run("index", folder, "--json")[0])
    patch.undo()
    hits = json.loads(command.run("search", "", "--limit", "1000", "--json")[0])
    thumbnails = {
        Path(path).name: hit["thumbnail"] for hit in hits for path in (hit["path"], *hit["other_paths"])
    }
    return {"report": report, "thumbnails": thumbnails}


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_it_is_shown_as_viewers_show_it(indexed: dict[str, Any], name: str):
    thumbnail = indexed["thumbnails"][name]
    assert thumbnail is not None, indexed["report"]["problems"]
    with Image.open(thumbnail) as image:
        assert image.width == 2 * image.height
        shown = [image.convert("RGB").getpixel((image.width * x // 4, image.height // 2)) for x in (1, 3)]
    expected = PICTURES[name][1]
    assert np.abs(np.array(shown) - np.array(expected)).max() <= 12, shown


@pytest.mark.slow
def test_nothing_is_a_problem(indexed: dict[str, Any]):
    assert [one["path"] for one in indexed["report"]["problems"]] == []
