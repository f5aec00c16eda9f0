"""Uploads on a real disk: parts in order, names that are safe, and nothing half-written."""

from __future__ import annotations

import errno
import io
import os
import time

import pytest
from PIL import Image

from clips import clip
from smallsight.errors import (
    ArgumentError,
    FolderError,
    PictureTooLargeError,
    StorageError,
    UnsupportedFormatError,
    UploadConflictError,
    UploadMissingError,
)
from smallsight.library.database import Database
from smallsight.services.finished_uploads import require_upload_folder, store_upload, upload_folders
from smallsight.services.upload_names import safe_name, store_file
from smallsight.services.uploads import KEPT_S, Uploads
from smallsight.settings import load_settings


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def settings(tmp_path):
    return load_settings(home=tmp_path / "home", limits={"max_file_bytes": 10_000})


@pytest.fixture
def uploads(settings):
    return Uploads(settings)


@pytest.fixture
def album(tmp_path):
    (tmp_path / "album").mkdir()
    return tmp_path / "album"


def test_parts_follow_each_other_and_the_state_survives_a_new_process(settings, uploads):
    upload = uploads.create("a.png", 10, "/album")
    assert uploads.append(upload, 0, b"01234") == 5
    again = Uploads(settings)
    assert again.find(upload.id) == upload
    assert again.offset(upload) == 5
    with pytest.raises(UploadConflictError, match="5 bytes have arrived"):
        again.append(upload, 4, b"x")
    with pytest.raises(ArgumentError, match="has more"):
        again.append(upload, 5, b"567890")
    assert again.append(upload, 5, b"56789") == 10
    assert again.path(upload).read_bytes() == b"0123456789"


def test_one_upload_is_received_once_at_a_time(uploads):
    upload = uploads.create("a.png", 10, "/album")
    with uploads.receiving(upload), pytest.raises(UploadConflictError), uploads.receiving(upload):
        pass
    uploads.remove(upload)
    with pytest.raises(UploadMissingError):
        uploads.find(upload.id)


@pytest.mark.parametrize("upload_id", ["", "../uploads", "0" * 32, "A" * 32, "%2e%2e"])
def test_an_unknown_upload_is_missing(uploads, upload_id):
    with pytest.raises(UploadMissingError):
        uploads.find(upload_id)


def test_sizes_are_limited_before_anything_is_sent(uploads):
    with pytest.raises(PictureTooLargeError, match=r"10,001 bytes \(limit 10,000\)"):
        uploads.create("a.png", 10_001, "/album")
    with pytest.raises(ArgumentError, match="empty"):
        uploads.create("a.png", 0, "/album")


def test_uploads_that_nobody_continues_are_removed_after_a_day(uploads):
    old, kept = uploads.create("a.png", 10, "/album"), uploads.create("b.png", 10, "/album")
    long_ago = time.time() - KEPT_S - 60
    for one in (
        uploads.path(old),
        uploads.path(old).with_suffix(".json"),
        uploads.path(kept).with_suffix(".json"),
    ):
        os.utime(one, (long_ago, long_ago))
    uploads.remove_old()
    assert uploads.find(kept.id) == kept
    with pytest.raises(UploadMissingError):
        uploads.find(old.id)


@pytest.mark.parametrize(
    ("given", "picture_format", "expected"),
    [
        ("holiday.JPG", "JPEG", "holiday.JPG"),
        ("../../etc/passwd", "PNG", "passwd.png"),
        ("C:\\Users\\me\\photo.png", "PNG", "photo.png"),
        ("photo.png", "JPEG", "photo.png.jpg"),
        ("a\0b\nc\u202egnp.exe", "PNG", "abcgnp.exe.png"),
        ("...", "WEBP", "picture.webp"),
        ("", "GIF", "picture.gif"),
        (".hidden.jpg", "JPEG", "hidden.jpg"),
        ("con.png", "PNG", "_con.png"),
        ("im\udc80age.jpg", "JPEG", "picture.jpg"),
        ("ü" * 300 + ".png", "PNG", "ü" * 98 + ".png"),
    ],
)
def test_names_are_safe(given, picture_format, expected):
    assert safe_name(given, picture_format) == expected


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_replaced(tmp_path, album):
    for text in ("first", "second", "third"):
        source = tmp_path / text
        source.write_text(text)
        store_file(source, album, "a.png")
    assert {one.name: one.read_text() for one in album.iterdir()} == {
        "a.png": "first",
        "a (2).png": "second",
        "a (3).png": "third",
    }
    assert not (tmp_path / "first").exists()


def test_a_full_disk_leaves_nothing_in_the_folder_and_the_upload_for_another_try(
    settings, uploads, album, monkeypatch
):
    database = Database.open_for_writing(settings.database_path, for_run=False)
    upload = uploads.create("a.png", 100, str(album))
    uploads.path(upload).write_bytes(png("red"))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)  # as on another disk
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="The disk is full"):
            store_upload(uploads.path(upload), "a.png", album, database)
    assert list(album.iterdir()) == []
    stored = store_upload(uploads.path(upload), "a.png", album, database)
    assert stored.path.read_bytes() == png("red")
    database.close()


def test_only_pictures_are_stored_and_the_same_file_once(settings, uploads, album, tmp_path):
    database = Database.open_for_writing(settings.database_path, for_run=False)
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(UnsupportedFormatError, match="not a picture that can be read"):
        store_upload(tmp_path / "page", "a.png", album, database)
    assert not (tmp_path / "page").exists()
    for _ in range(2):
        (tmp_path / "part").write_bytes(png("blue"))
        stored = store_upload(tmp_path / "part", "a.png", album, database)
    assert stored.is_duplicate
    assert [one.name for one in album.iterdir()] == ["a.png"]
    database.close()


def test_videos_are_stored_under_names_that_say_so_and_sound_is_not(settings, album, tmp_path):
    database = Database.open_for_writing(settings.database_path, for_run=False)
    for name, data in (
        ("holiday.MOV", clip(5)),
        ("film.webm", clip(5, container="webm", codec="libvpx")),
        ("picture.jpg", clip(6)),
    ):
        (tmp_path / "part").write_bytes(data)
        store_upload(tmp_path / "part", name, album, database)
    assert {one.name for one in album.iterdir()} == {"holiday.MOV", "film.webm", "picture.jpg.mp4"}
    (tmp_path / "part").write_bytes(b"OggS" + bytes(600))
    with pytest.raises(UnsupportedFormatError, match="sound or video"):
        store_upload(tmp_path / "part", "song.ogg", album, database)
    database.close()


def test_the_folder_for_uploads_is_inside_the_library_and_writable(tmp_path, album, settings):
    assert upload_folders(settings, [album]) == [album / "Uploads", album]
    assert require_upload_folder(settings, [album], "") == album / "Uploads"
    assert (album / "Uploads").is_dir()
    for wanted in (str(tmp_path), str(album / ".."), "relative", "\0", str(album / "missing")):
        with pytest.raises(FolderError):
            require_upload_folder(settings, [album], wanted)
    (album / "way out").symlink_to(tmp_path)
    with pytest.raises(FolderError):
        require_upload_folder(settings, [album], str(album / "way out"))
