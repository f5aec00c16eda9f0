from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from smallsight.captioning.dataset_folder import is_dataset_folder, list_dataset_files
from smallsight.captioning.table_source import TableSource
from smallsight.errors import (
    ArgumentError,
    CorruptPictureError,
    DecoderFailedError,
    PictureNotFoundError,
    PictureTooLargeError,
)
from smallsight.settings import Limits

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


PICTURES = [png(number) for number in range(40)]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, table, rows_per_group: int = 16) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=rows_per_group)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows_per_group)
    return path


def struct_table():
    values = [{"bytes": data, "path": f"cat {number}.png"} for number, data in enumerate(PICTURES)]
    return pa.table({"label": list(range(40)), "image": pa.array(values, STRUCT)})


def source(path: Path, *, limits: Limits | None = None, column=None, pictures=None) -> TableSource:
    return TableSource(path, path.name, limits or Limits(), column=column, pictures_folder=pictures)


def read(path: Path, wants=lambda _: True, **options):
    return list(source(path, **options).pictures(wants))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_pictures_of_hugging_face_are_read_row_by_row(tmp_path: Path, ending: str):
    file = write(tmp_path / f"a.{ending}", struct_table())
    found = read(file)
    assert [one.data for one in found] == PICTURES
    assert [(one.source, one.key, one.name) for one in found[:2]] == [
        (f"a.{ending}", "0", "cat 0.png"),
        (f"a.{ending}", "1", "cat 1.png"),
    ]
    some = read(file, wants=lambda key: key in {"3", "17", "39"})
    assert [one.data for one in some] == [PICTURES[3], PICTURES[17], PICTURES[39]]


def test_an_arrow_file_with_an_index_is_read_too(tmp_path: Path):
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, struct_table().schema) as writer:
        writer.write_table(struct_table(), max_chunksize=7)
    assert [one.data for one in read(path)] == PICTURES


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "kind",
    [pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int32(), pa.binary())],
    ids=["large", "view, as polars writes it", "dictionary"],
)
def test_bytes_are_pictures_however_arrow_stores_them(tmp_path: Path, kind, ending: str):
    values = pa.array([PICTURES[0], None, PICTURES[1]])
    column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
    first, missing, last = read(write(tmp_path / f"a.{ending}", pa.table({"image": column})))
    assert [first.data, last.data] == PICTURES[:2]
    assert isinstance(missing.data, PictureNotFoundError)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view()], ids=["large", "view"])
def test_paths_are_paths_however_arrow_stores_them(tmp_path: Path, kind):
    (tmp_path / "owl.png").write_bytes(PICTURES[3])
    table = pa.table({"file_name": pa.array(["owl.png"]).cast(kind)})
    assert [one.data for one in read(write(tmp_path / "a.parquet", table))] == [PICTURES[3]]


def test_the_child_that_reads_has_no_rights(tmp_path: Path):
    file = write(tmp_path / "a.parquet", struct_table())
    assert len(read(file, limits=Limits(require_sandbox=True))) == 40


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"caption": ["x"], "jpg": [png(1)]}, 1),
        ({"other": [b"no"], "image": [png(2)]}, 2),
        ({"data": [png(3)]}, 3),
        ({"text": ["x"], "image_bytes": [png(4)], "path": ["gone.png"]}, 4),
    ],
)
def test_the_column_that_looks_like_pictures_is_chosen(tmp_path: Path, columns, chosen: int):
    file = write(tmp_path / "a.parquet", pa.table(columns))
    assert [one.data for one in read(file)] == [png(chosen)]


def test_a_column_can_be_named(tmp_path: Path):
    file = write(tmp_path / "a.parquet", pa.table({"image": [png(1)], "second": [png(2)]}))
    assert [one.data for one in read(file, column="second")] == [png(2)]


@pytest.mark.parametrize("column", [None, "label", "nothing"])
def test_a_table_without_pictures_names_its_columns(tmp_path: Path, column: str | None):
    table = pa.table({"label": [1], "\x1b[31mred": [2]})
    with pytest.raises(ArgumentError, match="No column of this table holds pictures") as caught:
        source(write(tmp_path / "a.parquet", table), column=column).require_column()
    assert caught.value.hint == "name one with --column; there are: label, \\x1b[31mred."


def test_paths_lead_to_files_below_the_folder_only(tmp_path: Path):
    inside, outside = tmp_path / "data", tmp_path / "secret.png"
    (inside / "sub").mkdir(parents=True)
    outside.write_bytes(png(1))
    (inside / "sub" / "a.png").write_bytes(png(2))
    (inside / "link.png").symlink_to(outside)
    paths = ["sub/a.png", str(inside / "sub" / "a.png"), "../secret.png", str(outside), "link.png"]
    paths += ["gone.png", "https://example.com/a.png", "sub", None, ""]
    file = write(inside / "a.parquet", pa.table({"file_name": pa.array(paths, pa.string())}))
    found = read(file)
    assert [one.data for one in found[:2]] == [png(2), png(2)]
    assert {type(one.data) for one in found[2:]} == {PictureNotFoundError}
    assert "leads out of the folder" in str(found[2].data)
    assert "Addresses are not fetched" in str(found[6].data)
    assert "no picture in this row" in str(found[8].data)
    assert read(file, pictures=tmp_path)[3].data == png(1)


def test_bytes_come_before_a_path_and_a_row_without_both_has_a_reason(tmp_path: Path):
    values = [{"bytes": png(1), "path": "/etc/passwd"}, {"bytes": None, "path": None}, None]
    found = read(write(tmp_path / "a.parquet", pa.table({"image": pa.array(values, STRUCT)})))
    assert [one.data for one in found[:1]] == [png(1)]
    assert {type(one.data) for one in found[1:]} == {PictureNotFoundError}


def test_a_picture_over_the_limit_is_a_reason(tmp_path: Path):
    file = write(tmp_path / "a.parquet", pa.table({"image": [b"x" * 5000, png(1)]}))
    found = read(file, limits=Limits(max_file_bytes=1000))
    assert [type(one.data) for one in found] == [PictureTooLargeError, bytes]


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("kept", [0, 5, 4000, -20])
def test_a_damaged_table_is_a_reason_after_the_rows_before_it(tmp_path: Path, ending: str, kept: int):
    file = write(tmp_path / f"a.{ending}", struct_table())
    file.write_bytes(file.read_bytes()[:kept])
    found = read(file)
    assert isinstance(found[-1].data, CorruptPictureError | DecoderFailedError | PictureNotFoundError)
    assert [one.data for one in found[:-1]] == PICTURES[: len(found) - 1]


def test_the_files_of_a_saved_data_set_are_those_that_it_lists(tmp_path: Path):
    for split in ("train", "test"):
        folder = tmp_path / split
        folder.mkdir()
        (folder / "dataset_info.json").write_text("{}")
        names = [f"data-0000{number}-of-00002.arrow" for number in range(2)]
        state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "x"}
        (folder / "state.json").write_text(json.dumps(state))
    assert is_dataset_folder(tmp_path / "train")
    assert not is_dataset_folder(tmp_path)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert is_dataset_folder(tmp_path)
    listed = [path.relative_to(tmp_path).as_posix() for path in list_dataset_files(tmp_path)]
    assert listed[1:3] == ["train/data-00001-of-00002.arrow", "test/data-00000-of-00002.arrow"]


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"_data_files": []}',
        '{"_data_files": [{"filename": "../a.arrow"}]}',
        '{"_data_files": [{"filename": "/etc/passwd"}]}',
        '{"_data_files": [{"filename": ".."}]}',
        '{"_data_files": ["a.arrow"]}',
    ],
)
def test_a_data_set_that_lists_something_else_is_refused(tmp_path: Path, state: str):
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(ArgumentError, match="incomplete or damaged"):
        list_dataset_files(tmp_path)
