"""Exports of a real library: records, captions and XMP, beside the pictures and elsewhere."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .conftest import Command, end_all, with_prepared

needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed: apt install libimage-exiftool-perl"
)


@pytest.fixture(scope="module", autouse=True)
def without_reading() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLSIGHT_INDEX__OCR", "false")
        yield


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Command]:
    """A library whose pictures have words of a person and of a model; two share a stem, one has a copy."""
    command = with_prepared(tmp_path_factory.mktemp("exported") / "home", prepared)
    album = command.home.parent / "album"
    (album / "trip").mkdir(parents=True)
    for number, name in enumerate(("red balloon.png", "trip/a.jpg", "trip/a.png", "trip/Größe.webp")):
        Image.new("RGB", (40, 30), (60 * number, 90, 10)).save(album / name)
    shutil.copy(album / "red balloon.png", album / "trip" / "copy.png")
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    command.run("index", album, "--model", "test")
    command.run("edit", album / "trip" / "a.jpg", "--description", '=a "cat",\n& <dog>', "--tag", "pet;s")
    command.run("edit", album / "red balloon.png", "--tag", "toy", "--tag", "party")
    yield command
    end_all(command)


@pytest.fixture
def library(original: Command, tmp_path: Path) -> tuple[Command, Path]:
    """The library, with an album at the same path whatever an earlier test left there."""
    album = original.home.parent / "album"
    (original.home / "exported-captions").unlink(missing_ok=True)
    for path in album.rglob("*"):
        if path.suffix in {".txt", ".xmp"}:
            path.unlink()
    return original, album


def rows(text: str) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    return {Path(row["path"]).name: row for row in found}


def below(folder: Path, suffix: str) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob(f"*{suffix}")
    }


def test_everything_is_a_json_object_a_line(library: tuple[Command, Path]):
    command, album = library
    found = rows(command.run("export")[0])
    assert sorted(found) == ["Größe.webp", "a.jpg", "a.png", "broken.jpg", "red balloon.png"]
    balloon = found["red balloon.png"]
    assert balloon["other_paths"] == [str(album / "trip" / "copy.png")]
    assert balloon["tags"] == [
        {"name": "party", "by": "human", "origin": None},
        {"name": "toy", "by": "human", "origin": None},
    ]
    assert (balloon["description"], balloon["description_by"]) == ("red balloon", "machine")
    assert balloon["description_model"] == "test"
    assert (balloon["format"], balloon["width_px"], balloon["frames"]) == ("PNG", 40, 1)
    assert balloon["indexed_at_s"] > 0
    assert found["a.jpg"]["description_by"] == "human"
    assert found["broken.jpg"]["problems"][0].startswith("The JPEG data is damaged")
    assert len(balloon["sha256"]) == 64


def test_a_search_chooses_pictures_and_a_flag_whose_words(library: tuple[Command, Path]):
    command, _ = library
    assert list(rows(command.run("export", "tag:toy")[0])) == ["red balloon.png"]
    assert list(rows(command.run("export", "folder:trip", "-tag:pet;s", "-n", "1", "--sort", "name")[0])) == [
        "a.png"
    ]
    assert rows(command.run("export", "--mode", "keyword", "balloon")[0]).keys() == {"red balloon.png"}
    human = rows(command.run("export", "--by", "human")[0])
    assert human["red balloon.png"]["description"] is None
    assert human["a.jpg"]["description"].startswith("=a")
    assert command.run("export", "tag:nosuch")[0] == ""


def test_csv_and_a_file_that_is_there_already(library: tuple[Command, Path], tmp_path: Path):
    command, _ = library
    file = tmp_path / "all.csv"
    assert command.json("export", "--out", file)["written"] == 5
    with file.open(encoding="utf-8-sig", newline="") as opened:
        found = {Path(row["path"]).name: row for row in csv.DictReader(opened)}
    assert found["a.jpg"]["description"] == '\'=a "cat",\n& <dog>'
    assert (found["a.jpg"]["tags"], found["red balloon.png"]["tags"]) == (r"pet\;s", "party;toy")
    before = file.read_bytes()
    _, err = command.run("export", "--out", file, code=2)
    assert "There is a file already" in err
    assert file.read_bytes() == before
    command.run("export", "tag:toy", "--out", file, "--overwrite")
    assert file.read_bytes().count(b"\r\n") == 2
    assert list(tmp_path.iterdir()) == [file]
    printed, _ = command.run("export", "tag:toy", "--format", "csv")
    assert printed.startswith("\ufeffpath,")


def test_parquet(library: tuple[Command, Path], tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    command, _ = library
    command.run("export", "--out", tmp_path / "all.parquet")
    exported = [json.loads(line) for line in command.run("export")[0].splitlines()]
    assert parquet.read_table(tmp_path / "all.parquet").to_pylist() == exported


def test_captions_are_beside_the_pictures_and_never_shared(library: tuple[Command, Path]):
    command, album = library
    expected = {
        "red balloon.txt": "red balloon\n",
        "trip/copy.txt": "red balloon\n",
        "trip/a.jpg.txt": '=a "cat", & <dog>\n',
        "trip/a.png.txt": "a\n",
        "trip/Größe.txt": "Größe\n",
    }
    report = command.json("export", "--format", "txt-sidecars")
    assert (report["written"], report["skipped"], report["failed"]) == (5, 1, 0)
    assert below(album, ".txt") == expected
    assert command.json("export", "--format", "txt-sidecars")["written"] == 0
    assert command.json("export", "--format", "txt-sidecars", "--by", "human")["written"] == 4
    assert below(album, ".txt") == {
        "red balloon.txt": "party, toy\n",
        "trip/copy.txt": "party, toy\n",
        "trip/a.jpg.txt": '=a "cat", & <dog>\n',
    }


def test_a_text_file_by_somebody_else_is_replaced_only_when_asked(library: tuple[Command, Path]):
    command, album = library
    (album / "red balloon.txt").write_text("my own notes")
    _, err = command.run("export", "--format", "txt-sidecars")
    assert f"left alone {album / 'red balloon.txt'}: Smallsight did not write it." in err
    assert (album / "red balloon.txt").read_text() == "my own notes"
    command.run("export", "--format", "txt-sidecars", "--overwrite")
    assert (album / "red balloon.txt").read_text() == "red balloon\n"


def test_sidecars_elsewhere_have_the_same_folders(library: tuple[Command, Path], tmp_path: Path):
    command, album = library
    command.run("export", "folder:trip", "--format", "xmp-sidecars", "--out", tmp_path / "out")
    assert sorted(below(tmp_path / "out", ".xmp")) == [
        "album/red balloon.png.xmp",  # the same picture as the copy
        "album/trip/Größe.webp.xmp",
        "album/trip/a.jpg.xmp",
        "album/trip/a.png.xmp",
        "album/trip/copy.png.xmp",
    ]
    assert below(album, ".xmp") == {}


@needs_exiftool
def test_exiftool_reads_what_was_written_and_keeps_what_it_wrote(library: tuple[Command, Path]):
    command, album = library
    theirs = album / "red balloon.png.xmp"
    changes = ["-XMP-dc:Subject=theirs", "-XMP:Rating=4", "-XMP-dc:Title-fr=Ballon", "-XMP-dc:Creator=Ada"]
    subprocess.run(["exiftool", "-q", *changes, str(theirs)], check=True)
    command.run("export", "--format", "xmp-sidecars")
    found = exiftool(album)
    balloon = found["red balloon.png.xmp"]
    assert balloon["Description"] == "red balloon"
    assert balloon["Subject"] == ["theirs", "party", "toy"]
    assert (balloon["Rating"], balloon["Title-fr"], balloon["Creator"]) == (4, "Ballon", "Ada")
    cat = found["a.jpg.xmp"]
    assert (cat["Description"], cat["Subject"]) == ('=a "cat",\n& <dog>', "pet;s")
    assert cat["CreatorTool"].startswith("Smallsight ")
    assert found["Größe.webp.xmp"]["Description"] == "Größe"
    assert found.keys() == {
        f"{name}.xmp" for name in ("red balloon.png", "copy.png", "a.jpg", "a.png", "Größe.webp")
    }
    before = below(album, ".xmp")
    assert command.json("export", "--format", "xmp-sidecars")["written"] == 0
    assert below(album, ".xmp") == before
    change = ["-overwrite_original", "-XMP-dc:Description=My balloon", "-XMP-dc:Subject+=mine"]
    subprocess.run(["exiftool", "-q", *change, str(theirs)], check=True)
    report = command.json("export", "--format", "xmp-sidecars")
    assert [Path(one["path"]).name for one in report["left_alone"]] == [theirs.name]
    balloon = exiftool(album)["red balloon.png.xmp"]
    assert (balloon["Description"], balloon["Rating"]) == ("My balloon", 4)
    assert sorted(balloon["Subject"]) == ["mine", "party", "theirs", "toy"]


def exiftool(folder: Path) -> dict[str, dict[str, Any]]:
    arguments = ["exiftool", "-json", "-r", "-ext", "xmp", "-charset", "filename=utf8", str(folder)]
    done = subprocess.run(arguments, capture_output=True, check=True)
    assert b"Warning" not in done.stdout + done.stderr
    return {Path(one["SourceFile"]).name: one for one in json.loads(done.stdout)}


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a full disk")
def test_a_full_disk_leaves_no_half_sidecar_and_does_not_stop_the_others(
    library: tuple[Command, Path], tmp_path: Path
):
    command, _ = library
    full = tmp_path / "full"
    full.mkdir()
    script = f"mount -t tmpfs -o size=8k none {full} || exit 99; "
    script += f"{sys.executable} -m smallsight export --format xmp-sidecars --out {full}; code=$?; "
    script += f"find {full} -type f -printf '%f\\n'; exit $code"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env=command.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("this user may not mount file systems")
    assert done.returncode == 7, done.stderr
    written = done.stdout.split("\n")[:-1]
    assert 1 <= len(written) <= 3
    assert all(name.endswith(".xmp") for name in written)
    assert done.stderr.count("error: The disk is full") == 5 - len(written)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "yaml"], "--format cannot be 'yaml'"),
        (["--by", "me"], "--by cannot be 'me'"),
        (["--format", "parquet"], "A Parquet file cannot be printed"),
        (["--format", "csv", "--json"], "--json prints a summary"),
        (["--out", "FOLDER"], "--out is a folder"),
        (["--format", "txt-sidecars", "--out", "FILE"], "--out is not a folder"),
    ],
    ids=["format", "by", "parquet", "json", "folder", "file"],
)
def test_what_cannot_be_exported_is_a_sentence(
    library: tuple[Command, Path], tmp_path: Path, arguments: list[str], words: str
):
    (tmp_path / "file").touch()
    places = {"FOLDER": str(tmp_path), "FILE": str(tmp_path / "file")}
    out, err = library[0].run("export", *(places.get(one, one) for one in arguments), code=2)
    assert words in out + err


def test_a_library_is_needed(smallsight: Command):
    assert "There is no library" in smallsight.run("export", code=3)[1]
