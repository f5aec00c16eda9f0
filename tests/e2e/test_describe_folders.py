"""Describing folders, JSON lines that a killed run continues, standard input, and errors."""

from __future__ import annotations

import json
import random
import signal
import struct
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from clips import clip
from forked_commands import command_server
from scale import scaled

from .conftest import Command

NUM_KILLS = scaled(2)  # SMALLSIGHT_TEST_SCALE=10 is the promised size
NUM_PICTURES = 150
MODEL = ("--model", "test")


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def exif() -> Image.Exif:
    values = Image.Exif()
    values[ExifTags.Base.Make], values[ExifTags.Base.Model] = "NIKON", "NIKON Z 6"
    values.get_ifd(ExifTags.IFD.Exif).update(
        {
            ExifTags.Base.DateTimeOriginal: "2024:05:03 17:06:07",
            ExifTags.Base.OffsetTimeOriginal: "+02:00",
        }
    )
    return values


def taken_at(video: bytes, when: datetime) -> bytes:
    """Return an MP4 file whose header says when it was made."""
    place = video.index(b"mvhd") + 8
    seconds = int((when - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds())
    return video[:place] + struct.pack(">II", seconds, seconds) + video[place + 8 :]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "trip" / "hidden").mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(folder / "red balloon.png", exif=exif())
    Image.new("RGB", (40, 30), "blue").save(folder / "trip" / "blue whale.png")
    Image.new("RGB", (40, 30), "green").save(folder / "trip" / "hidden" / "secret.png")
    (folder / "trip" / "hidden" / ".nomedia").touch()
    (folder / "trip" / "clip one.mp4").write_bytes(
        taken_at(clip(8), datetime(2023, 5, 3, 10, 11, 12, tzinfo=UTC))
    )
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_stands_for_its_pictures_and_videos(smallsight: Command, folder: Path):
    out, err = smallsight.run("describe", folder, *MODEL, code=4)
    found = [block.split("\n") for block in out.strip().split("\n\n")]
    assert found == [
        [str(folder / "red balloon.png"), "red balloon"],
        [str(folder / "trip" / "blue whale.png"), "blue whale"],
        [str(folder / "trip" / "clip one.mp4"), "clip one"],
    ]
    assert err.splitlines()[0].startswith(f"error: {folder / 'broken.jpg'}: The JPEG data is damaged")


def test_json_lines_say_which_bytes_were_described_and_how(smallsight: Command, folder: Path):
    out, _ = smallsight.run("describe", folder, *MODEL, "--jsonl", "--prompt", "What?", code=4)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["text"] for row in rows] == [None, "red balloon", "blue whale", "clip one"]
    assert rows[0]["error"]["code"] == "corrupt_picture"
    assert len({row["sha256"] for row in rows}) == 4
    assert [(row["taken"], row["camera"]) for row in rows] == [
        (None, None),
        ("2024-05-03T17:06:07+02:00", "NIKON Z 6"),
        (None, None),
        ("2023-05-03T10:11:12+00:00", None),
    ]
    assert {row["request"]["prompt"] for row in rows} == {"What?"}


def test_a_run_continues_an_earlier_one(smallsight: Command, folder: Path, tmp_path: Path):
    file = tmp_path / "captions.jsonl"
    arguments = ("describe", folder, *MODEL, "--out", file)
    assert smallsight.json(*arguments, code=4) == {
        "file": str(file),
        "described": 3,
        "failed": 1,
        "skipped": 0,
    }
    before = file.read_bytes()
    assert smallsight.json(*arguments)["skipped"] == 4
    assert file.read_bytes() == before
    Image.new("RGB", (40, 30), "white").save(folder / "broken.jpg")
    Image.new("RGB", (40, 30), "black").save(folder / "red balloon.png")  # other bytes: a further line
    assert smallsight.json(*arguments, "--retry-failed")["described"] == 2
    paths = [Path(row["path"]).name for row in rows_of(file)]
    assert paths == ["red balloon.png", "blue whale.png", "clip one.mp4", "broken.jpg", "red balloon.png"]
    assert smallsight.json(*arguments, "--prompt", "What?")["described"] == 4


@pytest.mark.slow
def test_each_picture_is_described_once_whatever_kills_the_run(smallsight: Command, tmp_path: Path):
    chance = random.Random(5)
    folder, file = tmp_path / "many", tmp_path / "captions.jsonl"
    folder.mkdir()
    for number in range(NUM_PICTURES):
        Image.new("RGB", (300, 200), (number, 90, 10)).save(folder / f"picture {number:03}.png")
    arguments = ["describe", str(folder), *MODEL, "--out", str(file), "--quiet"]
    num_kills = num_torn = 0
    while num_kills < NUM_KILLS:
        done = _num_lines(file)
        if done > NUM_PICTURES * 0.8:  # keep something to kill
            file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:5]))
            done = 5
        if _was_killed(arguments, smallsight, file, done + chance.randrange(12)):
            num_kills += 1
            if chance.random() < 0.5 and _num_lines(file):  # as after a power cut
                data = file.read_bytes()
                start = data.rindex(b"\n", 0, len(data) - 1) + 1 if data.count(b"\n") > 1 else 0
                file.write_bytes(data[: chance.randrange(start, len(data))])
                num_torn += 1
    smallsight.run(*arguments)
    counts = Counter(row["path"] for row in rows_of(file))
    assert counts == {str(folder / f"picture {number:03}.png"): 1 for number in range(NUM_PICTURES)}
    assert all(Path(row["path"]).stem == row["text"] for row in rows_of(file))
    print(f"{num_kills} kills, {num_torn} of them with a torn line, {NUM_PICTURES} pictures, each once")


def _num_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _was_killed(arguments: list[str], command: Command, file: Path, at_line: int) -> bool:
    """Kill a run once the file has so many lines; return False if it ended before."""
    process = command_server().start(arguments, command.environment())
    while not process.has_ended(timeout_s=0.002):
        if _num_lines(file) >= at_line:
            process.kill()
            return process.wait() == -signal.SIGKILL
    assert process.wait() == 0
    return False


def test_a_picture_may_come_from_standard_input(smallsight: Command, folder: Path):
    done = subprocess.run(
        [sys.executable, "-m", "smallsight", "describe", "-", *MODEL, "--jsonl"],
        input=(folder / "red balloon.png").read_bytes(),
        env=smallsight.environment(),
        capture_output=True,
        timeout=300,
        check=True,
    )
    assert (json.loads(done.stdout)["path"], json.loads(done.stdout)["text"]) == (
        "-",
        "picture without a name",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["https://example.com/a.jpg"], 3, "Addresses are not fetched: https://example.com/a.jpg"),
        (["-"], 3, "Standard input is empty"),
        (["--json", "--jsonl", "x.png"], 2, "--json and --jsonl contradict"),
        (["--retry-failed", "x.png"], 2, "--retry-failed needs --out"),
        (["EMPTY"], 3, "There are no pictures or videos in this folder"),
        (["x.png", "--out", "FOREIGN"], 2, "not from `describe --jsonl`"),
        (["x.png", "--out", "EMPTY"], 7, "cannot be written"),
    ],
    ids=["address", "stdin", "two formats", "retry", "empty folder", "foreign file", "folder"],
)
def test_what_cannot_be_described_is_a_sentence(
    smallsight: Command, tmp_path: Path, arguments: list[str], code: int, words: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0 mine")
    places = {"EMPTY": str(tmp_path / "empty"), "FOREIGN": str(tmp_path / "cat.jpg")}
    given = [places.get(one, one) for one in arguments]
    out, err = smallsight.run("describe", *given, *MODEL, code=code)
    assert words in " ".join((out + err).replace('"', "").split())
    assert (tmp_path / "cat.jpg").read_bytes() == b"\xff\xd8\xff\xe0 mine"


def test_an_error_names_its_picture_once_and_its_hint_apart(smallsight: Command, folder: Path):
    gone = folder / "gone.png"
    _, err = smallsight.run("describe", folder / "red balloon.png", gone, *MODEL, code=3)
    assert err.splitlines() == [f"error: There is no such file: {gone}", "hint: check the path."]


def test_a_cut_answer_is_marked(smallsight: Command, folder: Path):
    picture, other = folder / "red balloon.png", folder / "trip" / "blue whale.png"
    out, err = smallsight.run("describe", picture, *MODEL, "--max-tokens", "1")
    assert (out, err) == ("red\n", "The answer was cut at 1 token; --max-tokens allows more.\n")
    out, err = smallsight.run("describe", picture, other, *MODEL, "--max-tokens", "1")
    assert out == f"{picture}\nred […]\n\n{other}\nblue […]\n\n"
    assert err == "2 answers were cut at 1 token; --max-tokens allows more.\n"


def test_a_full_disk_leaves_whole_lines(smallsight: Command, folder: Path, tmp_path: Path):
    file = tmp_path / "captions.jsonl"
    script = f'ulimit -f 1; exec {sys.executable} -m smallsight describe "$@"'  # files of 512 bytes or a KiB
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(folder), *MODEL, "--out", str(file)],
        env=smallsight.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "cannot be written" in done.stderr
    assert file.read_bytes()[-1:] in (b"", b"\n")
    rows_of(file)
