from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from smallsight.captioning.source_picture import SourcePicture
from smallsight.captioning.tar_source import TarSource, sample_key
from smallsight.errors import (
    CorruptPictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.settings import Limits


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def tar_of(*members: tuple[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def read(data: bytes, tmp_path: Path, limits: Limits | None = None, wants=lambda _: True):
    path = tmp_path / "some.tar"
    path.write_bytes(data)
    return list(TarSource(path, "some.tar", limits or Limits()).pictures(wants))


def facts(pictures: list[SourcePicture]) -> list[tuple[str, str, object]]:
    return [
        (one.key, one.name, one.data if isinstance(one.data, bytes) else type(one.data)) for one in pictures
    ]


PACKINGS = [
    pytest.param(bytes, id="plain"),
    pytest.param(gzip.compress, id="gzip"),
    pytest.param(bz2.compress, id="bzip2"),
    pytest.param(lzma.compress, id="xz"),
]
SAMPLES = [
    ("0001.jpg", png(1)),
    ("0001.txt", b"a caption"),
    ("a/0002.json", b"{}"),
    ("a/0002.png", png(2)),
    ("0003.left.png", png(3)),
    ("0003.right.png", png(4)),
    ("0004.img", png(5)),  # no usual suffix: the bytes say that it is a picture
    ("0005.txt", b"its picture is missing"),
    ("_index.json", b"[]"),
    (".hidden.png", png(6)),
]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", PACKINGS)
def test_members_are_grouped_by_their_key(tmp_path: Path, kind: int, pack):
    found = read(pack(tar_of(*SAMPLES, kind=kind)), tmp_path)
    assert facts(found) == [
        ("0001", "0001.jpg", png(1)),
        ("a/0002", "0002.png", png(2)),
        ("0003", "0003.left.png", png(3)),
        ("0003", "0003.right.png", png(4)),
        ("0004", "0004.img", png(5)),
        ("0005", "0005.txt", PictureNotFoundError),
    ]


@pytest.mark.parametrize("pack", PACKINGS)
def test_what_is_not_wanted_is_passed_over(tmp_path: Path, pack):
    asked: list[str] = []
    found = read(pack(tar_of(*SAMPLES)), tmp_path, wants=lambda key: asked.append(key) or key == "a/0002")
    assert facts(found) == [("a/0002", "0002.png", png(2))]
    assert asked == ["0001", "a/0002", "0003", "0004", "0005"]


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_hostile_names_are_only_text(tmp_path: Path, kind: int):
    long = "d/" * 300 + "x" * 300
    names = ["../../outside.png", "/etc/passwd.png", "line\nbreak.png", f"{long}.png", "gr\xfc\xdf.png"]
    found = read(tar_of(*((name, png(9)) for name in names), kind=kind), tmp_path)
    assert [one.key for one in found] == ["../../outside", "/etc/passwd", "line\nbreak", long, "gr\xfc\xdf"]
    assert [path.name for path in tmp_path.iterdir()] == ["some.tar"]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path):
    data = tar_of(("caf\udce9.png", png(1)), kind=tarfile.GNU_FORMAT)
    assert facts(read(data, tmp_path)) == [("caf\\xe9", "caf\\xe9.png", png(1))]


@pytest.mark.parametrize("pack", PACKINGS)
def test_a_huge_member_is_not_read(tmp_path: Path, pack):
    data = tar_of(("0001.png", png(1)), ("0002.png", b"\x89PNG" + b"\0" * 5000), ("0003.png", png(3)))
    found = read(pack(data), tmp_path, Limits(max_file_bytes=1000))
    assert [one[2] for one in facts(found)] == [png(1), PictureTooLargeError, png(3)]


def test_a_header_that_claims_a_huge_name_takes_no_memory(tmp_path: Path):
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    data = name.tobuf(tarfile.GNU_FORMAT) + tar_of(("0001.png", png(1)))
    (problem,) = read(data, tmp_path)
    assert isinstance(problem.data, CorruptPictureError)
    long = "x" * 200_000  # longer than any header that is taken in: what follows is read under its short name
    found = read(tar_of((f"{long}.png", png(1)), ("0002.png", png(2)), kind=tarfile.GNU_FORMAT), tmp_path)
    assert [(len(one.key), one.data) for one in found] == [(100, png(1)), (4, png(2))]


def test_links_and_devices_are_no_pictures(tmp_path: Path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    found = read(file.getvalue(), tmp_path)
    assert {type(one.data) for one in found} == {PictureNotFoundError}
    assert len(found) == 4


def test_the_folders_that_tar_packs_are_no_samples(tmp_path: Path):
    folder = tmp_path / "photos"
    (folder / "2024").mkdir(parents=True)
    (folder / "2024" / "owl.png").write_bytes(png(1))
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder, "photos")
    found = read((tmp_path / "photos.tar").read_bytes(), tmp_path)
    assert facts(found) == facts(read(tar_of(("photos/2024/owl.png", png(1))), tmp_path))


@pytest.mark.parametrize("pack", PACKINGS)
def test_a_cut_file_gives_what_comes_before_and_a_reason(tmp_path: Path, pack):
    whole = pack(tar_of(("0001.png", png(1)), ("0002.png", bytes(range(256)) * 40)))
    found = read(whole[: len(whole) // 4 if pack is not bytes else 2100], tmp_path)
    assert isinstance(found[-1].data, CorruptPictureError)
    assert found[-1].key == ""
    assert "damaged or ends early" in str(found[-1].data)


@pytest.mark.parametrize("data", [b"no tar at all, and long enough to be a header" * 20, b"\x1f\x8bno gzip"])
def test_a_file_of_something_else_is_one_row_with_a_reason(tmp_path: Path, data: bytes):
    assert [type(one.data) for one in read(data, tmp_path)] == [CorruptPictureError]


@pytest.mark.parametrize("data", [b"", b"\0" * 10240, tar_of(("_notes.txt", b"x"))])
def test_a_tar_file_without_samples_is_one_row_with_a_reason(tmp_path: Path, data: bytes):
    assert [type(one.data) for one in read(data, tmp_path)] == [PictureNotFoundError]


def test_sparse_members_are_passed_over_with_their_extra_headers(tmp_path: Path):
    sparse = tarfile.TarInfo("0001.png")
    sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    more = bytearray(512)
    more[504] = 1
    data = bytes(header) + bytes(more) + bytes(512) + b"x" * 512 + tar_of(("0002.png", png(2)))
    assert facts(read(data, tmp_path)) == [
        ("0001", "0001.png", PictureNotFoundError),
        ("0002", "0002.png", png(2)),
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [("a.jpg", "a"), ("d/a.b.jpg", "d/a"), ("d.x/a", "d.x/a"), (".a.jpg", None), ("d/__a.json", None)],
)
def test_the_key_is_the_path_up_to_the_first_dot_of_the_name(name: str, key: str | None):
    assert sample_key(name) == key


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_file_packed_in_several_streams_is_read_whole(tmp_path: Path, pack):
    data = tar_of(*SAMPLES)
    streams = [pack(data[start : start + 1500]) for start in range(0, len(data), 1500)]
    filled = b"".join(streams) if pack is bz2.compress else (b"\0" * 8).join(streams)
    assert facts(read(filled, tmp_path)) == facts(read(data, tmp_path))


def test_xz_that_asks_for_much_memory_is_an_error_of_its_file(tmp_path: Path):
    hungry = {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}
    pictures = read(lzma.compress(tar_of(*SAMPLES), filters=[hungry]), tmp_path)
    assert facts(pictures) == [("", "some.tar", CorruptPictureError)]


@pytest.mark.parametrize(
    ("head", "name"), [(b"\x28\xb5\x2f\xfd", "Zstandard"), (b"PK\x03\x04", "zip"), (b"Rar!\x1a\x07", "RAR")]
)
def test_a_packing_that_is_not_read_is_named(tmp_path: Path, head: bytes, name: str):
    (picture,) = read(head + bytes(1000), tmp_path)
    assert isinstance(picture.data, UnsupportedFormatError)
    assert name in str(picture.data)
