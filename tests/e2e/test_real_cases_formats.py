"""Valid files that decoders stumble on, indexed by the real command: each is found by the words on it.

``docs/real-world-log.md`` names the reports.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from .conftest import Command

ORIENTATION, TURN_RIGHT = 0x0112, 6
METADATA_CHARS = 2_000_000
LARGE_PROFILE_BYTES = 1_500_000


def card(text: str, size: tuple[int, int] = (600, 200), font_px: int = 44) -> Image.Image:
    image = Image.new("RGB", size, "white")
    font = ImageFont.load_default(size=font_px)
    ImageDraw.Draw(image).text((size[0] // 20, size[1] // 3), text, font=font, fill="black")
    return image


def large_profile() -> bytes:
    """Return a valid sRGB profile of the size that printers' profiles have."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile += bytes(LARGE_PROFILE_BYTES)
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


def metadata(kind: str) -> PngInfo:
    info = PngInfo()
    if kind == "zTXt":
        info.add_text("workflow", "node " * (METADATA_CHARS // 5), zip=True)
    else:
        xmp = f"<x:xmpmeta>{'h' * METADATA_CHARS}</x:xmpmeta>"
        info.add_itxt("XML:com.adobe.xmp", xmp, zip=kind == "compressed iTXt")
    return info


def uncompressed_tiff(values: np.ndarray) -> bytes:
    """Return a TIFF with one strip of numbers as they are: uint16 or float32, [H, W] or [H, W, 3]."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    bits, number_format = values.dtype.itemsize * 8, 3 if values.dtype.kind == "f" else 1
    data = values.tobytes()
    bits_at = 8 + len(data)
    format_at = bits_at + 2 * channels
    directory_at = format_at + 2 * channels
    many = channels > 2
    entries = [
        *((256, 3, 1, width), (257, 3, 1, height)),
        (258, 3, channels, bits_at if many else bits),
        *((259, 3, 1, 1), (262, 3, 1, 2 if many else 1), (273, 4, 1, 8), (277, 3, 1, channels)),
        *((278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)),
        (339, 3, channels, format_at if many else number_format),
    ]
    return b"".join(
        [
            b"II*\0" + struct.pack("<I", directory_at) + data,
            struct.pack(f"<{channels}H", *[bits] * channels),
            struct.pack(f"<{channels}H", *[number_format] * channels),
            struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one) for one in entries),
            bytes(4),
        ]
    )


def draw_metadata(folder: Path) -> None:
    card("WORKFLOW").save(folder / "workflow.png", pnginfo=metadata("zTXt"))
    card("HISTORY").save(folder / "history.png", pnginfo=metadata("compressed iTXt"))
    card("LETTERS").save(folder / "letters.png", pnginfo=metadata("iTXt"))
    card("PRINTER").save(folder / "printer.png", icc_profile=large_profile())
    card("PLOTTER").save(folder / "plotter.jpg", icc_profile=large_profile())
    stream = io.BytesIO()
    card("MOTION").save(stream, "JPEG")
    (folder / "motion.jpg").write_bytes(stream.getvalue() + b"\0\0\0\x18ftypmp42" + bytes(200_000))


def draw_encodings(folder: Path) -> None:
    card("TELEPHONE", (12_000, 9_000), 1_500).save(folder / "telephone.jpg", quality=60)
    second = card("RIGHT EYE")
    card("STEREO").save(folder / "stereo.jpg", "MPO", save_all=True, append_images=[second])
    card("PRINTING").convert("CMYK").save(folder / "printing.jpg")
    card("FACSIMILE").convert("1").save(folder / "facsimile.tif", compression="group4")
    card("INSIDE").save(folder / "inside.tif", compression="jpeg")
    card("DICTIONARY").save(folder / "dictionary.tif", compression="tiff_lzw")
    deep = np.asarray(card("DEEP")).astype(np.uint16) * 257
    (folder / "deep.tif").write_bytes(uncompressed_tiff(deep))
    grey = np.asarray(card("FLOATING").convert("L")).astype(np.float32) / 255
    (folder / "floating.tif").write_bytes(uncompressed_tiff(grey))


def draw_suffixes(folder: Path) -> None:
    for name, text, picture_format in (
        ("nothing", "WITHOUT", "JPEG"),
        ("a.jpg_large", "TIMELINE", "JPEG"),
        ("b.jpg!large", "BROWSER", "JPEG"),
        ("wrong.jpg", "DISGUISE", "WEBP"),
        ("c.pjpeg", "PROGRESSIVE", "JPEG"),
        ("UPPER.JPG", "CAPITALS", "JPEG"),
        ("d.dib", "WINDOWS", "BMP"),
        ("e.jif", "ANCIENT", "JPEG"),
        ("DSC0001.HIF", "CAMERA", "HEIF"),
    ):
        card(text).save(folder / name, picture_format)


def draw_turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = TURN_RIGHT
    for suffix, text in (("png", "ELEPHANT"), ("webp", "GIRAFFE"), ("avif", "HEDGEHOG"), ("tif", "OSTRICH")):
        options = {"lossless": True} if suffix == "webp" else {}
        turned = card(text).rotate(90, expand=True)
        turned.save(folder / f"turned.{suffix}", exif=exif, **options)


def draw_frames(folder: Path) -> None:
    blank = Image.new("RGB", (600, 200), "white")
    for suffix, text in (
        ("gif", "SALAMANDER"),
        ("webp", "CROCODILE"),
        ("png", "BUTTERFLY"),
        ("avif", "PELICAN"),
    ):
        blank.save(
            folder / f"sticker.{suffix}",
            save_all=True,
            append_images=[card(text), card(text)],
            duration=300,
        )
    pages = [card(text).convert("1") for text in ("COVER", "CONTRACT", "KANGAROO")]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:], compression="group4")
    images = [card(text) for text in ("FLAMINGO", "WALRUS")]
    images[0].save(folder / "two.heic", "HEIF", save_all=True, append_images=images[1:])


def draw_lab(folder: Path) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(card("LABORATORY"), to_lab)
    assert lab is not None
    lab.save(folder / "lab.tif")


def draw_refused(folder: Path) -> None:
    """Draw pictures that the guide says are not read."""
    colours = np.asarray(card("FLOAT COLOURS")).astype(np.float32) / 255
    (folder / "float_colours.tif").write_bytes(uncompressed_tiff(colours))
    (folder / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats") / "home"


@pytest.fixture(scope="module")
def report(home: Path) -> dict[str, Any]:
    pytest.importorskip("rapidocr")
    pytest.importorskip("pillow_heif").register_heif_opener()
    folder = home.parent / "pictures"
    for path in (home, folder):
        path.mkdir()
    for draw in (
        *(draw_metadata, draw_encodings, draw_suffixes, draw_turned, draw_frames),
        *(draw_lab, draw_refused),
    ):
        draw(folder)
    return json.loads(Command(home).run("index", folder, "--json")[0])


@pytest.fixture(scope="module")
def text_of(report: dict[str, Any], home: Path) -> Callable[[str], str]:
    assert report["complete"]
    hits = json.loads(Command(home).run("search", "", "--limit", "1000", "--json")[0])
    texts = {Path(hit["path"]).name: hit["text"] or "" for hit in hits}
    return lambda name: texts[name].replace(" ", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("workflow.png", "WORKFLOW", id="2 MB of compressed text: Pillow#2445, Pillow#8363"),
        pytest.param("history.png", "HISTORY", id="2 MB of compressed XMP"),
        pytest.param("letters.png", "LETTERS", id="2 MB of XMP"),
        pytest.param("printer.png", "PRINTER", id="a PNG with a profile of 1.5 MB: Pillow#1111"),
        pytest.param("plotter.jpg", "PLOTTER", id="a JPEG with a profile of 1.5 MB"),
        pytest.param("motion.jpg", "MOTION", id="a motion photo: a film behind the JPEG"),
        pytest.param("telephone.jpg", "TELEPHONE", id="108 megapixels: immich#4017, photoprism#1017"),
        pytest.param("stereo.jpg", "STEREO", id="two pictures in one JPEG"),
        pytest.param("printing.jpg", "PRINTING", id="CMYK"),
        pytest.param("facsimile.tif", "FACSIMILE", id="fax"),
        pytest.param("inside.tif", "INSIDE", id="JPEG in TIFF"),
        pytest.param("dictionary.tif", "DICTIONARY", id="LZW in TIFF"),
        pytest.param("deep.tif", "DEEP", id="16 bits a colour"),
        pytest.param("floating.tif", "FLOATING", id="grey in float32"),
        pytest.param("lab.tif", "LABORATORY", id="CIE LAB"),
        pytest.param("nothing", "WITHOUT", id="no suffix: elementary/photos#117"),
        pytest.param("a.jpg_large", "TIMELINE", id="jpg_large: photoprism#2693"),
        pytest.param("b.jpg!large", "BROWSER", id="jpg!large"),
        pytest.param("wrong.jpg", "DISGUISE", id="a WebP named .jpg: llama-cpp-python#1140"),
        pytest.param("c.pjpeg", "PROGRESSIVE", id="pjpeg"),
        pytest.param("UPPER.JPG", "CAPITALS", id="a suffix in capitals"),
        pytest.param("d.dib", "WINDOWS", id="dib"),
        pytest.param("e.jif", "ANCIENT", id="jif"),
        pytest.param("DSC0001.HIF", "CAMERA", id="HIF: immich#15074"),
        pytest.param("turned.png", "ELEPHANT", id="a turned PNG"),
        pytest.param("turned.webp", "GIRAFFE", id="a turned WebP"),
        pytest.param("turned.avif", "HEDGEHOG", id="a turned AVIF"),
        pytest.param("turned.tif", "OSTRICH", id="a turned TIFF"),
        pytest.param("sticker.gif", "SALAMANDER", id="a GIF that begins blank: stash#2266"),
        pytest.param("sticker.webp", "CROCODILE", id="a WebP that begins blank: uSticker#3"),
        pytest.param("sticker.png", "BUTTERFLY", id="an APNG that begins blank"),
        pytest.param("sticker.avif", "PELICAN", id="an AVIF that begins blank"),
        pytest.param("scan.tif", "KANGAROO", id="the third page: aleph#20, tesseract#12"),
        pytest.param("two.heic", "WALRUS", id="the second picture of a HEIC"),
    ],
)
def test_the_words_on_it_are_read(text_of: Callable[[str], str], name: str, words: str):
    assert words in text_of(name)


@pytest.mark.slow
def test_what_is_refused_is_named_with_its_reason(report: dict[str, Any]):
    (found,) = report["folders"]
    problems = {Path(one["path"]).name: one["message"] for one in report["problems"]}
    assert sorted(problems) == ["float_colours.tif"]
    assert {one["reason"]: one["names"] for one in found["passed_over"]} == {
        "other_pictures": ["drawing.svg"]
    }
