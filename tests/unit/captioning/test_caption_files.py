from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsight.captioning.caption_files import CaptionFile, ColumnChoice, open_caption_file
from smallsight.captioning.given_captions import BadRow
from smallsight.errors import ArgumentError, CorruptPictureError, PictureNotFoundError
from smallsight.library.importing import ImportedDescription
from smallsight.settings import Limits

HASHES = [f"{number:064x}" for number in range(40)]
REQUEST = {
    "precision": "int8",
    "prompts": {"caption": "What?"},
    "detail": "auto",
    "max_tokens": 9,
    "length": None,
}


def opened(path: Path, limits: Limits | None = None, column: str | None = None) -> CaptionFile:
    return open_caption_file(path, limits or Limits(), ColumnChoice(column))


def texts(path: Path, **options: object) -> list[str]:
    rows = opened(path, **options).rows()  # type: ignore[arg-type]
    return [one.text if isinstance(one, ImportedDescription) else str(one) for one in rows]


def table(**columns: object):
    pa = pytest.importorskip("pyarrow")
    made = {"sha256": HASHES, "model": ["tiny"] * 40, "caption": [f"picture {n}" for n in range(40)]}
    return pa.table({**made, **columns})


def write(path: Path, made, about: object = REQUEST) -> Path:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    made = made.replace_schema_metadata({"smallsight": json.dumps(about)})
    if path.suffix == ".parquet":
        parquet.write_table(made, path, row_group_size=7)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, made.schema) as writer:
            writer.write_table(made)
    return path


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_is_read_in_order_with_what_its_run_was_asked(tmp_path: Path, ending: str):
    file = opened(write(tmp_path / f"a.{ending}", table()), Limits(require_sandbox=True))
    rows = list(file.rows())
    assert [(one.sha256, one.text) for one in rows if isinstance(one, ImportedDescription)] == [
        (sha256, f"picture {number}") for number, sha256 in enumerate(HASHES)
    ]
    assert isinstance(rows[0], ImportedDescription)
    assert (rows[0].maker.precision, rows[0].maker.prompt) == ("int8", "What?")
    assert file.fraction_read == 1.0


def test_other_columns_of_a_table_are_not_read(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    path = write(
        tmp_path / "a.parquet",
        table(image=[b"x" * 10] * 40, vector=pa.array([[0.5] * 4] * 40), error=[None] * 39 + ["no"]),
    )
    assert texts(path) == [*(f"picture {n}" for n in range(39)), BadRow.FAILED]


def test_a_text_longer_than_the_limit_is_a_bad_row_of_either_format(tmp_path: Path):
    limits = Limits(max_text_chars=9)
    path = write(tmp_path / "a.parquet", table())
    expected = [*(f"picture {n}" for n in range(10)), *[BadRow.TOO_LONG] * 30]
    assert texts(path, limits=limits) == expected
    lines = tmp_path / "a.jsonl"
    rows = [{"sha256": one, "model": "tiny", "caption": f"picture {n}"} for n, one in enumerate(HASHES)]
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="ascii")
    assert texts(lines, limits=limits) == expected


def test_a_column_can_be_named_and_one_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path):
    path = write(tmp_path / "a.parquet", table(colours=["red"] * 40))
    assert texts(path, column="colours") == ["red"] * 40
    with pytest.raises(ArgumentError, match="'shapes'") as caught:
        texts(path, column="shapes")
    assert "colours" in str(caught.value.hint)
    with pytest.raises(ArgumentError, match="'sha256'"):
        texts(write(tmp_path / "b.parquet", table().drop(["sha256"])))


def test_a_table_that_ends_early_is_damaged(tmp_path: Path):
    path = write(tmp_path / "a.parquet", table())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptPictureError, match="damaged"):
        texts(path)


def test_a_line_longer_than_any_row_is_passed_over(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    row = json.dumps({"sha256": HASHES[0], "model": "tiny", "caption": "a cat"})
    long = '{"caption": "' + "x" * 9_000_000 + '"}'
    path.write_text(f"{row}\n{long}\n\n{row}\n{long}", encoding="ascii")
    file = opened(path)
    assert [one if isinstance(one, BadRow) else one.text for one in file.rows()] == [
        "a cat",
        BadRow.NOT_A_ROW,
        "a cat",
        BadRow.NOT_A_ROW,
    ]
    assert file.fraction_read == 1.0


@pytest.mark.parametrize("line", ["[]", "{", "null", "[" * 100_000, '"\\ud800"', "\x00"])
def test_a_line_that_is_no_object_is_a_bad_row(tmp_path: Path, line: str):
    path = tmp_path / "a.jsonl"
    path.write_text(line, encoding="ascii")
    assert texts(path) == [BadRow.NOT_A_ROW]


def test_an_empty_file_has_no_rows(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert texts(tmp_path / "a.jsonl") == []


def test_another_ending_and_a_missing_file_are_refused_at_once(tmp_path: Path):
    with pytest.raises(ArgumentError, match=r"a\.csv"):
        opened(tmp_path / "a.csv")
    with pytest.raises(PictureNotFoundError):
        opened(tmp_path / "a.jsonl")
