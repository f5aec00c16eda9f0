from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallsight.captioning.caption_columns import CaptionColumns
from smallsight.captioning.caption_copies import CopiesOutput, safe_name
from smallsight.captioning.source_picture import SourcePicture

COLUMNS = CaptionColumns(("caption",))


def picture(key: str, name: str, source: str = "a.tar") -> SourcePicture:
    return SourcePicture(source, key, name, b"the bytes of " + key.encode())


def write(folder: Path, pictures: list[SourcePicture], *, several: bool = False, **facts: Any) -> list[str]:
    """Write all with the same caption; return the paths below the folder."""
    output = CopiesOutput(folder, has_several_sources=several)
    kept = [output.keep(one, one.data, f"{number:064x}") for number, one in enumerate(pictures)]
    with output.open(COLUMNS, {}) as write_row:
        for one, name in zip(pictures, kept, strict=True):
            write_row(COLUMNS.row({"key": one.key, "caption": "A  cat\non a mat.", **facts}), name)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_copy_has_its_caption_on_one_line_beside_it(tmp_path: Path):
    names = write(tmp_path / "out", [picture("trip/cat.jpg", "cat.jpg"), picture("0001", "0001.left.png")])
    assert names == ["0001.left.png", "0001.left.txt", "captions.jsonl", "trip/cat.jpg", "trip/cat.txt"]
    assert (tmp_path / "out/trip/cat.txt").read_text() == "A cat on a mat.\n"
    assert (tmp_path / "out/trip/cat.jpg").read_bytes() == b"the bytes of trip/cat.jpg"
    rows = [json.loads(line) for line in (tmp_path / "out/captions.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["trip/cat.jpg", "0001.left.png"]


def test_pictures_that_would_share_a_caption_get_other_names_that_stay(tmp_path: Path):
    same = [picture("a.jpg", "a.jpg"), picture("A.png", "A.png"), picture("a.gif", "a.gif")]
    names = write(tmp_path / "out", [*same, same[0]])
    assert [name for name in names if not name.endswith((".txt", ".jsonl"))] == [
        "A-00000000.png",
        "a-00000000-2.gif",
        "a-00000000-3.jpg",
        "a.jpg",
    ]
    assert write(tmp_path / "out", [*same, same[0]]) == names


def test_sources_have_folders_and_rows_of_tables_get_the_name_of_their_number(tmp_path: Path):
    names = write(
        tmp_path / "out",
        [picture("17", "cat.png", "x/a.parquet"), picture("17", "", "b.parquet")],
        several=True,
    )
    assert names == [
        *("b.parquet/17.bin", "b.parquet/17.txt", "captions.jsonl"),
        *("x/a.parquet/17.png", "x/a.parquet/17.txt"),
    ]


def test_a_picture_without_an_answer_has_no_copy(tmp_path: Path):
    assert write(tmp_path / "out", [picture("a.jpg", "a.jpg")], error="damaged") == ["captions.jsonl"]
    assert write(tmp_path / "out", [picture("a.jpg", "a.jpg")], caption="") == ["a.jpg", "captions.jsonl"]
    (row,) = map(json.loads, (tmp_path / "out/captions.jsonl").read_text().splitlines())
    assert row["file"] == "a.jpg"


@pytest.mark.parametrize(
    "key",
    [
        "../../up",
        "/absolute/a",
        "a/../../b",
        "con",
        "x\0y",
        "-rf",
        "...",
        "line\nbreak",
        "\u202egnp.exe",
        "ü" * 999,
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, key: str):
    folder = tmp_path / "deep" / "out"
    names = write(folder, [picture(key, f"{key.rsplit('/', 1)[-1]}.png"), picture(key, "other.png")])
    assert len(names) == 5
    assert all(name.isprintable() and len(name.encode()) < 260 for name in names)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


def test_names_keep_what_is_harmless():
    assert [safe_name(one) for one in ("Größe 2", "a:b", "", "..", "NUL.png", "-x", "end. ")] == [
        *("Größe 2", "a_b", "_", "_", "_NUL.png", "_-x", "end"),
    ]
