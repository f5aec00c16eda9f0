import os

import pytest

from smallsight.errors import CorruptPictureError, MissingDecoderError, UnsupportedFormatError
from smallsight.generator.picture_file import ConfinedFolder, PermanentJobError, unusable_picture


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "memes"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "a.png").write_bytes(b"bytes")
    (tmp_path / "memes-of-others").mkdir()
    (tmp_path / "memes-of-others" / "b.png").write_bytes(b"secret")
    return ConfinedFolder(root)


def test_a_picture_in_the_folder_is_read(folder):
    assert folder.read("inner/a.png") == b"bytes"
    assert folder.read("inner/../inner/a.png") == b"bytes"
    os.symlink("a.png", folder.root / "inner" / "same.png")
    assert folder.read("inner/same.png") == b"bytes"


@pytest.mark.parametrize(
    "path",
    [
        "../memes-of-others/b.png",
        "inner/../../memes-of-others/b.png",
        "/etc/hostname",
        "out/b.png",
        "out.png",
        "",
        ".",
        "..",
        "a\0.png",
        "inner/a.png/x",
        "\ud800.png",
    ],
)
def test_nothing_outside_the_folder_is_read(folder, path):
    os.symlink(folder.root.parent / "memes-of-others", folder.root / "out")
    os.symlink(folder.root.parent / "memes-of-others" / "b.png", folder.root / "out.png")
    with pytest.raises(PermanentJobError, match=r"^Image file not found: "):
        folder.read(path)


def test_what_is_no_file_is_not_waited_for(folder):
    os.mkfifo(folder.root / "pipe.png")
    with pytest.raises(PermanentJobError, match=r"^Cannot read image file: .*pipe\.png - "):
        folder.read("pipe.png")


def test_without_a_folder_paths_are_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"bytes")
    assert ConfinedFolder(None).read("./a.png") == b"bytes"
    with pytest.raises(PermanentJobError, match=r"^Image file not found: \./b\.png$"):
        ConfinedFolder(None).read("./b.png")


def test_a_file_of_exactly_the_limit_is_read(folder):
    (folder.root / "large.png").write_bytes(bytes(10 * 1024 * 1024))
    assert len(folder.read("large.png")) == 10 * 1024 * 1024


def test_a_picture_of_no_known_format_is_called_corrupt_and_one_without_decoder_is_not():
    for kind in (CorruptPictureError, UnsupportedFormatError):
        assert str(unusable_picture("/m/a", kind("x"))) == "Invalid or corrupt image file: /m/a"
    assert str(unusable_picture("/m/a", MissingDecoderError("x"))) == "Cannot read image file: /m/a - x"
