from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from smallsight.errors import PictureNotFoundError, PictureTooLargeError
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits

LIMITS = Limits(max_file_bytes=100_000)


def test_a_file_is_read_whole(tmp_path):
    path = tmp_path / "a.bin"
    content = os.urandom(99_999)
    path.write_bytes(content)
    assert read_picture_file(path, LIMITS) == content


@pytest.mark.parametrize(("size", "is_read"), [(0, True), (100_000, True), (100_001, False)])
def test_the_limit_is_exact(tmp_path, size, is_read):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(size))
    if is_read:
        assert len(read_picture_file(path, LIMITS)) == size
    else:
        with pytest.raises(PictureTooLargeError, match=r"100001 bytes \(limit 100000\)"):
            read_picture_file(path, LIMITS)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a file that lies about its size")
def test_the_limit_holds_for_a_file_that_announces_nothing():
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    assert read_picture_file(path, LIMITS).startswith(b"Name:")
    with pytest.raises(PictureTooLargeError):
        read_picture_file(path, Limits(max_file_bytes=10))


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_picture_file(tmp_path / "b", LIMITS) == b"x"


def test_what_is_not_there(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    for path in (
        tmp_path / "missing",
        tmp_path / "loop",
        tmp_path / "file" / "below",
        tmp_path / ("n" * 300),
        Path("nul\0byte"),
    ):
        with pytest.raises(PictureNotFoundError):
            read_picture_file(path, LIMITS)


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(PictureNotFoundError, match="a folder"):
        read_picture_file(tmp_path, LIMITS)


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
@pytest.mark.timeout(60)
def test_pipes_and_devices_never_block(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    for path in (tmp_path / "fifo.png", Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(PictureNotFoundError):
            read_picture_file(path, LIMITS)


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything, so be somebody else meanwhile
        os.seteuid(65_534)
    try:
        with pytest.raises(PictureNotFoundError, match="No permission to read"):
            read_picture_file(path, LIMITS)
    finally:
        os.seteuid(user)
