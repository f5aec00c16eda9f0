"""Captions and keywords that exiftool writes, in every format it can, are what the library shows."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.settings import Settings

from .conftest import Command

CAPTION = "Ein Boot läuft aus: корабль, 船, סירה, ναῦς"
TITLE = "Überfahrt"
KEYWORDS = ("море", "猫", "Hafen Süd", "כלב", "ελιά")
FORMATS = ("jpg", "png", "webp", "tif", "avif", "heic", "gif")
EXIF_FORMATS = ("jpg", "png", "webp", "tif", "avif", "heic")
CAPTION_FIELDS = {
    "EXIF:ImageDescription": EXIF_FORMATS,
    "EXIF:UserComment": EXIF_FORMATS,
    "EXIF:XPComment": EXIF_FORMATS,
    "EXIF:XPSubject": EXIF_FORMATS,
    "EXIF:XPTitle": EXIF_FORMATS,
    "IPTC:Caption-Abstract": ("jpg", "png", "tif"),
    "IPTC:Headline": ("jpg", "png", "tif"),
    "IPTC:ObjectName": ("jpg", "png", "tif"),
    "XMP-dc:Description": FORMATS,
    "XMP-dc:Title": FORMATS,
    "XMP-photoshop:Headline": FORMATS,
    "PNG:Description": ("png",),
    "PNG:Title": ("png",),
    "PNG:Comment": ("png",),
}
KEYWORD_FIELDS = {
    "EXIF:XPKeywords": EXIF_FORMATS,
    "IPTC:Keywords": ("jpg", "png", "tif"),
    "XMP-dc:Subject": FORMATS,
    "XMP-lr:HierarchicalSubject": FORMATS,
    "XMP-digiKam:TagsList": FORMATS,
    "XMP-microsoft:LastKeywordXMP": FORMATS,
}
ORIGINS = {"XMP-microsoft": "xmp:microsoftphoto", "XMP-": "xmp:"}


def exiftool(*arguments: str | Path) -> str:
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed: apt-get install libimage-exiftool-perl")
    command = [
        program,
        "-charset",
        "iptc=utf8",
        "-charset",
        "filename=utf8",
        "-overwrite_original",
        *arguments,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def origin_of(tag: str) -> str:
    name = tag
    for prefix, replaced in ORIGINS.items():
        name = name.replace(prefix, replaced)
    return name.lower()


def draw(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(pixels).resize((50, 40), Image.Resampling.NEAREST)
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path)
    else:
        image.save(path, **({"speed": 10} if path.suffix == ".avif" else {}))
    return path


@pytest.fixture(autouse=True)
def without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_LIMITS__REQUIRE_SANDBOX", "true")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def write_all(pictures: Path) -> list[tuple[Path, str]]:
    """Write one picture for each field and format, by one exiftool with many commands."""
    written: list[tuple[Path, str]] = []
    commands: list[str] = []
    for fields, values in ((CAPTION_FIELDS, [CAPTION]), (KEYWORD_FIELDS, list(KEYWORDS))):
        for tag, formats in fields.items():
            for suffix in formats:
                name = f"{tag.replace(':', '_')}.{suffix}"
                written.append((draw(pictures / name, len(written)), tag))
                one = [";".join(values)] if tag == "EXIF:XPKeywords" else values
                iptc = ["-IPTC:CodedCharacterSet=UTF8"] if tag.startswith("IPTC") else []
                commands += [*iptc, *(f"-{tag}={value}" for value in one), str(pictures / name), "-execute"]
    arguments = pictures.parent / "arguments.txt"
    arguments.write_text("\n".join(commands))
    exiftool("-@", arguments, "-common_args", "-charset", "iptc=utf8", "-overwrite_original", "-m")
    return written


def test_every_field_in_every_format_is_shown(tmp_path: Path, pictures: Path):
    written = write_all(pictures)
    settings = Settings(home=tmp_path / "home")
    wrong: list[Any] = []
    with Database.open_for_writing(settings.database_path) as database:
        library = Library(database)
        folder = library.add_folder(pictures)
        FolderScan(database, settings, folder.id, folder.path).run(QuietProgress(), lambda: False)
        Indexer(database, settings, list_stages(Means(database, settings))).run(
            QuietProgress(), lambda: False
        )
        for path, tag in written:
            shown = library.details(library.find_content(path))
            origins = {one.lower() for one in (*shown.tag_origins.values(), str(shown.description_origin))}
            expected = (None, tuple(sorted(KEYWORDS))) if tag in KEYWORD_FIELDS else (CAPTION, ())
            if (shown.description, shown.tags) != expected or origin_of(tag) not in origins:
                wrong.append((path.name, shown.description, shown.tags, origins))
    assert wrong == []
    assert len(written) == 100


def test_all_fields_at_once_and_sidecars_reach_the_commands(smallsight: Command, pictures: Path):
    path = draw(pictures / "a.jpg", 1)
    fields = [
        *(f"-XMP-dc:Description={CAPTION}", f"-XMP-dc:Title={TITLE}", f"-IPTC:Caption-Abstract={CAPTION}"),
        *(f"-EXIF:ImageDescription={TITLE}", f"-EXIF:XPTitle={TITLE}", "-IPTC:CodedCharacterSet=UTF8"),
        *(f"-{field}={keyword}" for field in ("XMP-dc:Subject", "IPTC:Keywords") for keyword in KEYWORDS),
    ]
    exiftool(*fields, path)
    smallsight.run("index", pictures)
    shown = smallsight.json("show", path)
    assert shown["description"] == f"{TITLE}\n{CAPTION}"
    assert shown["tags"] == sorted(KEYWORDS)
    exiftool("-XMP-dc:Description=Beside it", "-XMP-dc:Subject=more", "-o", pictures / "a.xmp")
    draw(pictures / "b.jpg", 2)
    takeout = {"title": "b.jpg", "description": "Am Meer\x1b[31m", "photoTakenTime": {}}
    (pictures / "b.jpg.supplemental-metada.json").write_text(json.dumps(takeout))
    (pictures / "notes.json").write_text("{}")
    _, said = smallsight.run("index")
    assert "2 pictures, 1 new, 2 sidecars read." in said
    assert "Passed over: 1 other file." in said
    shown = smallsight.json("show", path)
    assert (shown["description"], shown["description_origin"]) == ("Beside it", "sidecar:a.xmp")
    assert shown["tags"] == sorted([*KEYWORDS, "more"])
    text, _ = smallsight.run("show", path)
    assert "more: sidecar:a.xmp" in text
    text, _ = smallsight.run("show", pictures / "b.jpg")
    assert "Am Meer" in text
    assert "\x1b" not in text
    assert [hit["path"] for hit in smallsight.json("search", "beside", "it")] == [str(path)]
