"""Words that leave in sidecars and come into another library: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import smallsight
from scale import scaled
from smallsight.settings import Settings

SAMPLES = [
    *("a cat & <dog>", 'it says "no"', "Größe 猫 корабль", "two\nlines", "emoji 🐈\u200d⬛", "=1+1"),
    *("ends; here", "x" * 900),
]
TAGS = ["pets", "Größe", "猫", 'q"uote', "semi;colon", "a|b", "🐈", "two words"]


def settings_in(home: Path, **more: object) -> Settings:
    return Settings(home=home, index={"ocr": False}, log_level="error", **more)


def words_in(library: smallsight.PictureLibrary, path: Path) -> tuple[str | None, frozenset[str]]:
    """Return a person's description and tags."""
    found = library.details(path)
    by_person = found.description if found.description_by == "human" else None
    return by_person, frozenset(found.tags) - frozenset(found.machine_tags)


def by_exiftool(folder: Path) -> dict[str, tuple[str | None, frozenset[str]]]:
    """Return what exiftool reads in every sidecar, by the name of its picture."""
    read = subprocess.run(
        ["exiftool", "-j", "-r", "-ext", "xmp", "-XMP-dc:Description", "-XMP-dc:Subject", folder],
        capture_output=True,
        check=True,
        timeout=600,
    )
    found = {}
    for one in json.loads(read.stdout or b"[]"):
        subject = one.get("Subject", [])
        tags = [str(tag) for tag in (subject if isinstance(subject, list) else [subject])]
        assert len(tags) == len(set(tags)), "a tag is there twice"
        description = one.get("Description")
        found[Path(one["SourceFile"]).stem] = (
            None if description is None else str(description),
            frozenset(tags),
        )
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_words_go_from_library_to_library(tmp_path: Path):
    dice = random.Random(17)
    album = tmp_path / "album"
    album.mkdir()
    pictures = []
    for number in range(scaled(40)):
        path = album / f"{number:04}.{('png', 'jpg', 'webp')[number % 3]}"
        Image.frombytes("RGB", (8, 6), dice.randbytes(144)).resize((64, 48), 0).save(path)
        pictures.append(path)
    wanted = {}
    with smallsight.open_library(settings=settings_in(tmp_path / "one")) as first:
        first.index(album)
        for path in pictures:
            description = dice.choice([None, f"{path.stem}: {dice.choice(SAMPLES)}"])
            tags = dice.sample(TAGS, dice.randrange(4))
            if description or tags:
                first.edit(path, description=description, add_tags=tags)
            wanted[path] = description, frozenset(tags)
        assert {path: words_in(first, path) for path in pictures} == wanted
    export(tmp_path / "one")
    read = by_exiftool(album)
    assert {path.name: read.get(path.name, (None, frozenset())) for path in pictures} == {
        path.name: words for path, words in wanted.items()
    }
    with smallsight.open_library(settings=settings_in(tmp_path / "two")) as second:
        second.index(album)
        assert {path: words_in(second, path) for path in pictures} == wanted
        assert second.index(album).changed == 0
    before = {path.name: path.read_bytes() for path in album.glob("*.xmp")}
    export(tmp_path / "two")
    export(tmp_path / "one")
    assert {path.name: path.read_bytes() for path in album.glob("*.xmp")} == before
    with smallsight.open_library(settings=settings_in(tmp_path / "one")) as first:
        first.index(album)
        assert {path: words_in(first, path) for path in pictures} == wanted


def export(home: Path) -> None:
    from smallsight.cli.main import invoke

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLSIGHT_HOME", str(home))
        assert invoke(["export", "--format", "xmp-sidecars", "--quiet"]) == 0
