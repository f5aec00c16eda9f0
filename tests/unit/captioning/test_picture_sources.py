from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from smallsight.captioning.picture_sources import LeftOut, PictureSources, TableOptions
from smallsight.captioning.shard import Shard
from smallsight.errors import ArgumentError, PictureNotFoundError
from smallsight.settings import load_settings


def draw(path: Path, red: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (red, 0, 0)).save(path)
    return path


def pack(path: Path, names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    with tarfile.open(path, "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(file.getvalue())
            tar.addfile(info, io.BytesIO(file.getvalue()))
    return path


def open_sources(*paths: Path, shard: Shard | None = None) -> PictureSources:
    return PictureSources(paths, load_settings(), shard or Shard(), TableOptions())


def keys(sources: PictureSources) -> list[tuple[str, str]]:
    return [(one.source, one.key) for one in sources.pictures()]


def test_a_folder_of_pictures_is_its_pictures_in_order(tmp_path: Path):
    for name in ("b.png", "a/c.png", "a/b.png"):
        draw(tmp_path / "album" / name)
    sources = open_sources(tmp_path / "album")
    assert keys(sources) == [("album", "a/b.png"), ("album", "a/c.png"), ("album", "b.png")]
    assert sources.estimate() == 3


def test_a_folder_of_tar_files_is_their_samples(tmp_path: Path):
    pack(tmp_path / "set" / "00001.tar", ["x.png", "y.png"])
    pack(tmp_path / "set" / "00000.tar", ["x.png"])
    assert keys(open_sources(tmp_path / "set")) == [
        ("00000.tar", "x"),
        ("00001.tar", "x"),
        ("00001.tar", "y"),
    ]
    draw(tmp_path / "set" / "picture.png")  # now it is a folder of pictures
    sources = open_sources(tmp_path / "set")
    assert keys(sources) == [("set", "picture.png")]
    assert sources.left_out == [LeftOut(tmp_path / "set", "picture", "tar file", 2)]
    sources = open_sources(tmp_path / "set", tmp_path / "set" / "00001.tar")
    assert sources.left_out == [LeftOut(tmp_path / "set", "picture", "tar file", 1)]


def test_tables_beside_tar_files_are_left_out_and_counted(tmp_path: Path):
    pack(tmp_path / "set" / "00000.tar", ["x.png"])
    (tmp_path / "set" / "index.parquet").write_bytes(b"PAR1")
    sources = open_sources(tmp_path / "set")
    assert keys(sources) == [("00000.tar", "x")]
    assert sources.left_out == [LeftOut(tmp_path / "set", "tar file", "table", 1)]


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "TXZ"])
def test_packed_tar_files_are_known_by_their_names(tmp_path: Path, ending: str):
    pack(tmp_path / "set" / f"00000.{ending}", ["x.png"])
    assert keys(open_sources(tmp_path / "set")) == [(f"00000.{ending}", "x")]


def test_files_may_be_named_one_by_one_and_those_of_one_name_keep_their_paths(tmp_path: Path):
    one, other = pack(tmp_path / "a" / "0.tar", ["x.png"]), pack(tmp_path / "b" / "0.tar", ["x.png"])
    picture = draw(tmp_path / "cat.png")
    assert keys(open_sources(one, other, picture)) == [
        (str(one), "x"),
        (str(other), "x"),
        ("cat.png", "cat.png"),
    ]
    with pytest.raises(ArgumentError, match="named twice"):
        open_sources(one, one)


def test_shards_divide_everything(tmp_path: Path):
    album = tmp_path / "album"
    for number in range(30):
        draw(album / f"{number}.png")
    tar = pack(tmp_path / "0.tar", [f"{number}.png" for number in range(30)])
    parts = [open_sources(album, tar, shard=Shard(number, 3)) for number in (1, 2, 3)]
    found = [keys(one) for one in parts]
    assert sorted(one for some in found for one in some) == sorted(keys(open_sources(album, tar)))
    assert [part.estimate() for part in parts] == [len(some) for some in found]


def test_the_number_of_pictures_in_tar_files_is_estimated_as_they_are_read(tmp_path: Path):
    for number in range(4):
        pack(tmp_path / "set" / f"{number}.tar", [f"{one}.png" for one in range(50)])
    sources = open_sources(tmp_path / "set")
    assert sources.estimate() is None
    estimates = [sources.estimate() for _ in sources.pictures()]
    assert all(190 <= one <= 320 for one in estimates[5:])
    assert sources.estimate() == 200


@pytest.mark.parametrize("name", ["gone.png", "gone", "gone.tar", "empty"])
def test_what_is_not_there_is_said_at_once(tmp_path: Path, name: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureNotFoundError):
        open_sources(tmp_path / name)
