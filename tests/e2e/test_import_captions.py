"""Machines share the work on one library: captions of each, taken in by the hash of the pictures."""

from __future__ import annotations

import io
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clocks import wait_until
from forked_commands import run_command

from .conftest import Command

MODEL = ("--model", "test")
NUM_PICTURES = 12


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (red, 90, 10)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    for number in range(NUM_PICTURES):
        (folder / f"red {number}.png").write_bytes(png(20 * number))
    return folder


def index(command: Command, folder: Path, **settings: str) -> Any:
    environment = command.environment() | {"SMALLSIGHT_INDEX__OCR": "false", **settings}
    code, out, err = run_command(["index", str(folder), "--json"], environment)
    assert code == 0, err
    return json.loads(out)


def counts(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if value}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_two_machines_describe_halves_and_a_third_has_all(
    smallsight: Command, folder: Path, tmp_path: Path, ending: str
):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    copy = tmp_path / "the other machine" / folder.name  # the name is in the keys that make up shards
    shutil.copytree(folder, copy)
    halves = []
    for number, pictures in ((1, folder), (2, copy)):
        machine = Command(tmp_path / f"machine {number}")
        half = tmp_path / f"half {number}.{ending}"
        machine.json("caption", pictures, "--out", half, "--shard", f"{number}/2", *MODEL)
        halves.append(half)
    index(smallsight, folder)
    report = smallsight.json("import", *halves)
    assert counts(report) == {"rows": NUM_PICTURES, "stored": NUM_PICTURES}
    shown = smallsight.json("show", folder / "red 7.png")
    assert (shown["description"], shown["description_by"]) == ("red 7", "machine")
    (found, *_) = smallsight.json("search", '"red 7"')
    assert found["path"] == str(folder / "red 7.png")
    again = smallsight.json("import", *halves)
    assert counts(again) == {"rows": NUM_PICTURES, "known": NUM_PICTURES}


def test_an_index_run_with_the_same_request_has_nothing_left_to_describe(
    smallsight: Command, folder: Path, tmp_path: Path
):
    pytest.importorskip("pyarrow")
    file = tmp_path / "captions.parquet"
    smallsight.run("caption", folder, "--out", file, *MODEL, "--max-tokens", "40")
    index(smallsight, folder)
    smallsight.run("import", file)
    same = {"SMALLSIGHT_DESCRIBE__MODEL": "test", "SMALLSIGHT_DESCRIBE__MAX_TOKENS": "40"}
    assert described(index(smallsight, folder, **same)) == 0
    (folder / "new.png").write_bytes(png(251))
    assert described(index(smallsight, folder, **same)) == 1
    other = same | {"SMALLSIGHT_DESCRIBE__PROMPT": "What is red?"}
    assert described(index(smallsight, folder, **other)) == NUM_PICTURES + 1


def described(report: dict[str, Any]) -> int:
    return int(report["stages"].get("describe", {}).get("done", 0))


def test_a_persons_words_stay_and_the_answer_of_the_other_machine_is_kept_as_a_version(
    smallsight: Command, folder: Path, tmp_path: Path
):
    file = tmp_path / "captions.jsonl"
    smallsight.run("caption", folder, "--out", file, *MODEL)
    index(smallsight, folder)
    smallsight.run("edit", folder / "red 3.png", "--description", "my own words")
    report = smallsight.json("import", file)
    assert counts(report) == {"rows": 12, "stored": 11, "kept_beside_a_persons": 1}
    assert smallsight.json("show", folder / "red 3.png")["description"] == "my own words"
    out, err = smallsight.run("import", file)
    assert "0 descriptions stored, 12 already here." in out + err


def test_bad_rows_are_counted_by_reason_and_stop_nothing(smallsight: Command, folder: Path, tmp_path: Path):
    file, damaged = tmp_path / "captions.jsonl", tmp_path / "cut.jsonl"
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    smallsight.run("caption", folder, "--out", file, *MODEL, code=4)
    good = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    (row, *_) = [one for one in good if one["key"] == "red 0.png"]
    rows: list[Any] = [
        *good,
        {**row, "sha256": "abc"},
        {**row, "caption": " "},
        {**row, "caption": "\ud800"},
        {**row, "caption": "x" * 200_001},
        {**row, "model": None},
        {**row, "sha256": "0" * 64},
        [1, 2],
    ]
    lines = [json.dumps(one) for one in rows]
    damaged.write_text("\n".join([*lines, "", '{"sha256": "' + "a" * 100]), encoding="ascii")
    index(smallsight, folder)
    report = smallsight.json("import", damaged, code=4)
    assert report["bad_rows"] == {
        "failed_there": 1,
        "invalid_text": 1,
        "no_caption": 1,
        "no_model": 1,
        "no_sha256": 1,
        "not_a_row": 2,
        "too_long": 1,
    }
    assert (report["stored"], report["not_in_library"], report["rows"]) == (NUM_PICTURES, 1, 21)
    assert smallsight.json("import", damaged, "--model", "another", code=4)["kept_beside_another"] == 1


def test_what_describe_has_written_and_the_log_of_a_run_are_imported_too(
    smallsight: Command, folder: Path, tmp_path: Path
):
    described_to, captions = tmp_path / "described.jsonl", tmp_path / "captions.jsonl"
    smallsight.run("describe", folder, "--out", described_to, "--model", "test", "--prompt", "Which colour?")
    smallsight.run("caption", folder, "--out", captions, *MODEL)
    index(smallsight, folder)
    assert counts(smallsight.json("import", described_to)) == {"rows": 12, "stored": 12}
    log = captions.with_name("captions.jsonl.progress.jsonl")
    other_words = log.read_text(encoding="ascii").replace('"caption": "red', '"caption": "quite red')
    log.write_text(other_words, encoding="ascii")
    assert counts(smallsight.json("import", log)) == {"rows": 12, "kept_beside_another": 12}
    assert counts(smallsight.json("import", log, "--replace")) == {"rows": 12, "stored": 12}


def test_an_import_that_is_killed_is_repeated_with_nothing_lost_or_doubled(
    smallsight: Command, folder: Path, tmp_path: Path
):
    file = tmp_path / "captions.jsonl"
    smallsight.run("caption", folder, "--out", file, *MODEL)
    index(smallsight, folder)
    rows = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    many = [{**row, "caption": f"{row['caption']}, take {n}"} for n in range(200) for row in rows]
    file.write_text("\n".join(map(json.dumps, many)), encoding="ascii")
    process = smallsight.start("import", file, "--quiet")
    wait_until(lambda: "take" in (description_of(smallsight, folder) or ""), "nothing was stored")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = description_of(smallsight, folder)
    report = smallsight.json("import", file)
    assert report["rows"] == len(many)
    assert report["known"] > 0
    assert description_of(smallsight, folder) == first
    smallsight.run("library", "check")


def description_of(command: Command, folder: Path) -> str | None:
    found: str | None = command.json("show", folder / "red 0.png")["description"]
    return found


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("captions.csv", b"", 2, "says no format with captions"),
        ("gone.jsonl", None, 3, "no such file"),
        ("captions.parquet", b"PAR1 nothing", 4, "damaged"),
    ],
)
def test_a_file_that_is_none_of_captions_gets_one_clear_sentence(
    smallsight: Command, folder: Path, tmp_path: Path, name: str, content: bytes | None, code: int, words: str
):
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    index(smallsight, folder)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    _, err = smallsight.run("import", tmp_path / name, code=code)
    assert words in err
    assert "Traceback" not in err


def test_without_a_library_the_command_says_how_to_make_one(smallsight: Command, tmp_path: Path):
    (tmp_path / "captions.jsonl").write_text("{}", encoding="ascii")
    _, err = smallsight.run("import", tmp_path / "captions.jsonl", code=3)
    assert "smallsight index FOLDER" in err
