"""Captions of data sets: every kind of source, columns, kills at any moment, shards, and errors."""

from __future__ import annotations

import io
import json
import random
import signal
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from forked_commands import command_server, run_command
from scale import scaled

from .conftest import Command

NUM_KILLS = scaled(2)  # SMALLSIGHT_TEST_SCALE=10 is the promised size
NUM_PICTURES = 120
MODEL = ("--model", "test")


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def png(red: int, side_px: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side_px, 30), (red, 90, 10)).save(file, "PNG")
    return file.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def run_whatever_fails(command: Command, *arguments: str | Path) -> None:
    """Run a command that may meet a bad picture."""
    code, out, err = run_command([*map(str, arguments)], command.environment())
    assert code in (0, 4), f"{out}\n{err}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    (folder / "red balloon.png").write_bytes(png(200))
    (folder / "trip" / "blue whale.png").write_bytes(png(20))
    (folder / "trip" / "copy.png").write_bytes(png(20))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    return folder


def test_a_folder_becomes_rows_with_reasons_for_bad_pictures(
    smallsight: Command, folder: Path, tmp_path: Path
):
    file = tmp_path / "captions.jsonl"
    counts = smallsight.json("caption", folder, "--out", file, *MODEL, code=4)
    assert {name: counts[name] for name in ("rows", "described", "failed", "known", "copies")} == {
        "rows": 4,
        "described": 2,
        "failed": 1,
        "known": 0,
        "copies": 1,
    }
    rows = rows_of(file)
    assert [(row["source"], row["key"], row["caption"]) for row in rows] == [
        ("album", "broken.jpg", None),
        ("album", "red balloon.png", "red balloon"),
        ("album", "trip/blue whale.png", "blue whale"),
        ("album", "trip/copy.png", "blue whale"),
    ]
    assert (rows[0]["error_code"], len(rows[0]["sha256"])) == ("corrupt_picture", 64)
    assert rows[0]["error"].startswith("The JPEG data is damaged")
    assert (rows[1]["format"], rows[1]["width_px"], rows[1]["model"]) == ("PNG", 40, "test")


def test_a_run_continues_and_tries_failed_pictures_again_on_request(
    smallsight: Command, folder: Path, tmp_path: Path
):
    file = tmp_path / "captions.jsonl"
    smallsight.run("caption", folder, "--out", file, *MODEL, code=4)
    before = file.read_bytes()
    assert smallsight.json("caption", folder, "--out", file, *MODEL)["known"] == 3
    assert file.read_bytes() == before
    (folder / "new.png").write_bytes(png(7))
    (folder / "trip" / "moved.png").write_bytes((folder / "red balloon.png").read_bytes())
    (folder / "red balloon.png").unlink()
    counts = smallsight.json("caption", folder, "--out", file, *MODEL)
    assert (counts["rows"], counts["described"], counts["failed"]) == (5, 1, 0)
    assert {row["key"]: row["caption"] for row in rows_of(file)}["trip/moved.png"] == "red balloon"
    assert smallsight.json("caption", folder, "--out", file, *MODEL, "--retry-failed", code=4)["failed"] == 1
    assert (
        smallsight.json("caption", folder, "--out", file, *MODEL, "--prompt", "What?", code=4)["described"]
        == 3
    )


def test_tar_files_and_the_same_in_parquet_and_as_a_data_set(smallsight: Command, tmp_path: Path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pictures = {f"sample {number}.png": png(number) for number in range(5)}
    bad = {"bad 6.jpg": b"\xff\xd8\xff\xe0 nothing more"}
    shards = tmp_path / "shards"
    shards.mkdir()
    pack(shards / "0.tar", {"sample 0.txt": b"a caption", **pictures})
    pack(shards / "1.tar", {**bad, "../sample 7.png": png(7), "sample 8.txt": b"no picture"})
    values = [{"bytes": data, "path": name} for name, data in {**pictures, **bad}.items()]
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(values, image), "label": list(range(6))})
    parquet.write_table(table, tmp_path / "some.parquet")
    saved = tmp_path / "saved" / "train"
    saved.mkdir(parents=True)
    (saved.parent / "dataset_dict.json").write_text('{"splits": ["train"]}')
    (saved / "dataset_info.json").write_text("{}")
    (saved / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    with pa.ipc.new_stream(saved / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)

    def captioned(source: str) -> list[dict[str, Any]]:
        out = tmp_path / f"{source}.captions.parquet"
        smallsight.run("caption", tmp_path / source, "--out", out, *MODEL, code=4)
        return parquet.read_table(out).to_pylist()

    named = [(f"sample {number}", None) for number in range(5)]
    from_tars = captioned("shards")
    assert [(row["caption"], row["error_code"]) for row in from_tars] == [
        *named,
        *((None, "corrupt_picture"), ("sample 7", None), (None, "picture_not_found")),
    ]
    assert [(row["source"], row["key"]) for row in from_tars[4:7]] == [
        ("0.tar", "sample 4"),
        ("1.tar", "bad 6"),
        ("1.tar", "../sample 7"),
    ]
    for source, name in (("some.parquet", "some.parquet"), ("saved", "train/data-00000-of-00001.arrow")):
        rows = captioned(source)
        assert [(row["caption"], row["error_code"]) for row in rows] == [*named, (None, "corrupt_picture")]
        assert {row["source"] for row in rows} == {name}
        assert [row["key"] for row in rows] == [str(number) for number in range(6)]
    metadata = parquet.read_schema(tmp_path / "saved.captions.parquet").metadata
    assert json.loads(metadata[b"smallsight"])["model"] == "test"


def test_the_real_model_answers_several_prompts_with_text_and_vectors(
    smallsight: Command, draw_text: Callable[[Path, str], None], tmp_path: Path
):
    pytest.importorskip("rapidocr")
    folder, file = tmp_path / "signs", tmp_path / "signs.jsonl"
    for word in ("monday coffee", "garden server"):
        draw_text(folder / f"{word}.png", word)
    smallsight.run(
        *("caption", folder, "--out", file, "--ocr", "--embed", "text", "--max-tokens", "12"),
        *("--prompt", "Can you describe this image?", "--prompt", "colour=What colour is the background?"),
    )
    rows = rows_of(file)
    assert [row["text"].lower() for row in rows] == ["garden server", "monday coffee"]
    assert all(row["caption"] and row["colour"] for row in rows)
    assert [len(row["text_embedding"]) for row in rows] == [384, 384]
    assert sum(value * value for value in rows[0]["text_embedding"]) == pytest.approx(1, abs=1e-3)
    described = smallsight.json("describe", folder / "garden server.png", "--max-tokens", "12")
    assert rows[0]["caption"] == described[0]["text"].strip()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_the_output_is_the_same_bytes_however_often_the_run_was_killed(
    smallsight: Command, tmp_path: Path, ending: str
):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    chance = random.Random(5)
    pictures = {f"picture {number:03}.png": png(number, 300) for number in range(NUM_PICTURES)}
    tar = pack(tmp_path / "some.tar", {**pictures, "bad.png": b"\x89PNG\r\n\x1a\n", "copy.png": png(3, 300)})
    whole, file = tmp_path / f"whole.{ending}", tmp_path / f"killed.{ending}"
    log = tmp_path / f"killed.{ending}.progress.jsonl"
    smallsight.run("caption", tar, "--out", whole, *MODEL, code=4)
    arguments = ["caption", str(tar), "--out", str(file), *MODEL, "--quiet"]
    num_kills = num_torn = 0
    while num_kills < NUM_KILLS:
        done = _num_lines(log)
        if done > NUM_PICTURES * 0.8:  # keep something to kill
            log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:5]))
            done = 5
        if _was_killed(arguments, smallsight, log, done + chance.randrange(20)):
            num_kills += 1
            if chance.random() < 0.5 and _num_lines(log) > 1:  # as after a power cut
                data = log.read_bytes()
                log.write_bytes(data[: chance.randrange(data.rindex(b"\n", 0, -1) + 1, len(data))])
                num_torn += 1
    run_whatever_fails(smallsight, *arguments)
    assert file.read_bytes() == whole.read_bytes()
    counts = Counter(row["sha256"] for row in rows_of(log))
    assert set(counts.values()) == {1}
    assert len(counts) == NUM_PICTURES + 1
    assert {path.name for path in tmp_path.glob(".smallsight-*")} == set()
    print(f"{num_kills} kills, {num_torn} of them with a torn line: {file.stat().st_size} bytes, the same")


def _num_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _was_killed(arguments: list[str], command: Command, log: Path, at_line: int) -> bool:
    """Kill a run once the log has so many lines; return False if it ended before."""
    process = command_server().start(arguments, command.environment())
    while not process.has_ended(timeout_s=0.002):
        if _num_lines(log) >= at_line:
            process.kill()
            return process.wait() == -signal.SIGKILL
    assert process.wait() in (0, 4)
    return False


def test_shards_together_are_the_whole(smallsight: Command, folder: Path, tmp_path: Path):
    found: list[dict[str, Any]] = []
    for number in (1, 2, 3):
        file = tmp_path / f"{number}.jsonl"
        run_whatever_fails(smallsight, "caption", folder, "--out", file, *MODEL, "--shard", f"{number}/3")
        found += rows_of(file)
    assert sorted(row["key"] for row in found) == [
        *("broken.jpg", "red balloon.png", "trip/blue whale.png", "trip/copy.png"),
    ]


def test_copies_with_captions_are_a_folder_for_training(smallsight: Command, folder: Path, tmp_path: Path):
    out = tmp_path / "training"
    for _ in range(2):
        run_whatever_fails(smallsight, "caption", folder, "--out", out, *MODEL)
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == [
            *("captions.jsonl", "red balloon.png", "red balloon.txt"),
            *("trip/blue whale.png", "trip/blue whale.txt", "trip/copy.png", "trip/copy.txt"),
        ]
    assert (out / "trip" / "copy.txt").read_text() == "blue whale\n"
    assert [row.get("file") for row in rows_of(out / "captions.jsonl")][:2] == [None, "red balloon.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ALBUM", "--out", "x.txt.gz"], 2, "says no format"),
        (["ALBUM", "--out", "EXISTING"], 2, "There is something already"),
        (["ALBUM", "--out", "ALBUM/inside"], 2, "cannot be written into the pictures' own folder"),
        (["ALBUM", "--out", "nowhere/x.jsonl"], 7, "There is no such folder"),
        (["EMPTY", "--out", "x.jsonl"], 3, "There are no pictures or videos in this folder"),
        (["gone.tar", "--out", "x.jsonl"], 3, "This is not a file"),
        (["ALBUM", "--out", "x.jsonl", "--shard", "3/2"], 2, "--shard cannot be"),
        (["ALBUM", "--out", "x.jsonl", "--prompt", "key=What?"], 2, "Two columns would be called"),
        (["ALBUM", "--out", "x.jsonl", "--embed", "text"], 2, "--embed names no column of texts"),
    ],
    ids=["format", "existing", "inside", "no folder", "empty", "no tar", "shard", "column", "vectors"],
)
def test_what_cannot_be_done_is_a_sentence(
    smallsight: Command, folder: Path, tmp_path: Path, arguments: list[str], code: int, words: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine.jsonl").write_text("mine")
    places = {"ALBUM": folder, "EMPTY": tmp_path / "empty", "EXISTING": tmp_path / "mine.jsonl"}
    places["ALBUM/inside"] = folder / "inside"
    given = [
        str(places.get(one, tmp_path / one if "." in one and " " not in one else one)) for one in arguments
    ]
    out, err = smallsight.run("caption", *given, *MODEL, code=code)
    assert words in " ".join((out + err).split())
    assert (tmp_path / "mine.jsonl").read_text() == "mine"
