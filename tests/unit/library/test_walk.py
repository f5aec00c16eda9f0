from __future__ import annotations

import os
from pathlib import Path

import pytest

from smallsight.library.walk import Listing, list_pictures
from smallsight.media.file_kinds import FileKind, kind_of_found
from smallsight.policy.left_alone import LEFT_ALONE

JPEG = b"\xff\xd8\xff\xe0"
HEIF = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def walked(root: Path, **options: object) -> Listing:
    defaults: dict[str, object] = {"exclude": (".*", "cache"), "follow_symlinks": False}
    return list_pictures(root, **{**defaults, **options})  # type: ignore[arg-type]


def listed(root: Path, **options: object) -> list[str]:
    return [found.path for found in walked(root, **options).files]


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_everything_below_is_found_in_a_stable_order(tmp_path: Path):
    touch(tmp_path, "b.jpg", "a.PNG", "deep/er/c.jpg", "deep/d.jpg", "notes.txt")
    assert listed(tmp_path) == ["a.PNG", "b.jpg", "deep/d.jpg", "deep/er/c.jpg"]


def test_excluded_names_are_skipped_as_files_and_as_folders(tmp_path: Path):
    touch(tmp_path, "a.jpg", ".hidden.jpg", "cache/b.jpg", "x/cache/c.jpg", ".git/d.jpg")
    assert listed(tmp_path) == ["a.jpg"]


def test_links_to_files_are_followed_when_asked_and_named_when_not(tmp_path: Path):
    """git-annex keeps every picture as a link into a hidden folder."""
    touch(tmp_path, ".annex/objects/SHA256-1.jpg", "in/a.jpg")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / ".annex" / "objects" / "SHA256-1.jpg")
    (tmp_path / "in" / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    listing = walked(tmp_path / "in")
    assert [found.path for found in listing.files] == ["a.jpg"]
    assert listing.passed["links"] == ["broken.jpg", "link.jpg"]
    followed = walked(tmp_path / "in", follow_symlinks=True)
    assert [found.path for found in followed.files] == ["a.jpg", "link.jpg"]
    assert followed.passed["links"] == ["broken.jpg"]


def test_links_to_folders_are_followed_when_asked_and_loops_end(tmp_path: Path):
    touch(tmp_path, "other/b.jpg", "in/a.jpg")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert listed(tmp_path / "in") == ["a.jpg"]
    assert listed(tmp_path / "in", follow_symlinks=True) == ["a.jpg", "more/b.jpg"]


def test_a_folder_that_cannot_be_listed_hides_its_files_from_being_called_gone(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    place = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(20):  # a path too long to be named in one piece, so that even root cannot list it
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(place)
    listing = walked(tmp_path, exclude=())
    assert [found.path for found in listing.files] == ["a.jpg"]
    (hidden,) = listing.unreadable_folders
    assert not listing.covers(f"{hidden}/b.jpg")
    assert listing.covers(f"{hidden}b.jpg")


def test_a_root_that_is_gone_covers_nothing(tmp_path: Path):
    listing = walked(tmp_path / "gone", exclude=())
    assert listing.files == []
    assert not listing.covers("anything.jpg")


def test_names_that_are_not_text_are_reported(tmp_path: Path):
    touch(tmp_path, "good.jpg")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg"))).write_bytes(b"x")
    listing = walked(tmp_path, exclude=())
    assert [found.path for found in listing.files] == ["good.jpg"]
    assert listing.passed["unreadable_names"] == ["bad\\udcff.jpg"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sony.HIF", b""),
        ("photo.jpg_large", JPEG),
        ("photo.jpg!large", JPEG),
        ("no suffix", JPEG),
        ("v1.2 final", JPEG),
        ("canon", HEIF),
        ("old.JIF", b""),
        ("stereo.mpo", b""),
        ("Phone.HEIC", b""),
    ],
)
def test_the_first_bytes_decide_where_a_name_says_nothing(tmp_path: Path, name, data):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "no picture").write_bytes(b"text")
    assert listed(tmp_path) == [name]


def test_nothing_is_passed_over_in_silence(tmp_path: Path):
    touch(
        tmp_path, "a.jpg", "clip.MP4", "scan.pdf", "IMG_1.CR3", "new.jxl", "notes.txt", "cache/b.jpg", "what"
    )
    assert {str(reason): paths for reason, paths in walked(tmp_path).passed.items()} == {
        "videos": ["clip.MP4"],
        "pdfs": ["scan.pdf"],
        "raw_photos": ["IMG_1.CR3"],
        "other_pictures": ["new.jxl"],
        "other_files": ["notes.txt", "what"],
        "excluded": ["cache/"],
    }


@pytest.mark.parametrize(
    "path",
    [
        "$Recycle.Bin/S-1/$R1.jpg",
        "$RECYCLE.BIN/x.jpg",
        "#recycle/x.jpg",
        "@Recycle/x.jpg",
        "#snapshot/GMT-1/x.jpg",
        "@Recently-Snapshot/x.jpg",
        "@eadir/x.jpg/SYNOPHOTO_THUMB_M.jpg",
        "__MACOSX/c.jpg",
        "System Volume Information/x.jpg",
        "LOST+FOUND/x.jpg",
        "Trip.photoslibrary/resources/derivatives/x.jpg",
        "Catalog Previews.lrdata/x.jpg",
        ".Trash-1000/files/x.jpg",
        ".zfs/snapshot/x.jpg",
        ".thumbnails/x.jpg",
        "android/.thumbdata/x.jpg",
        "thumbs.db",
    ],
)
def test_bins_snapshots_and_thumbnails_are_left_alone_in_any_case(tmp_path: Path, path):
    touch(tmp_path, path, "keep.jpg", "Trip.photoslibrary/originals/1/keep.jpg")
    assert listed(tmp_path, exclude=LEFT_ALONE) == ["keep.jpg", "Trip.photoslibrary/originals/1/keep.jpg"]


def test_a_folder_that_android_marks_is_left_alone_with_all_below(tmp_path: Path):
    touch(tmp_path, "a.jpg", "stickers/.nomedia", "stickers/b.jpg", "stickers/more/c.jpg", ".nomedia")
    listing = walked(tmp_path)
    assert [found.path for found in listing.files] == ["a.jpg"]  # the folder that was named itself is not
    assert "stickers/" in listing.passed["excluded"]


def test_a_pattern_with_a_slash_is_compared_with_the_end_of_a_path(tmp_path: Path):
    touch(tmp_path, "a/out/x.jpg", "b/out/x.jpg", "xa/out/x.jpg")
    assert listed(tmp_path, exclude=("A/Out",)) == ["b/out/x.jpg", "xa/out/x.jpg"]


def test_a_pipe_is_counted_and_not_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert walked(tmp_path).passed["other_files"] == ["pipe"]


@pytest.mark.parametrize("packet", [b"\x47" + bytes(187), bytes(4) + b"\x47" + bytes(187)])
def test_a_recording_of_television_is_told_from_source_code_of_the_same_suffix(tmp_path: Path, packet: bytes):
    (tmp_path / "news.ts").write_bytes(10 * packet)
    (tmp_path / "NEWS.TS").write_bytes(10 * packet)
    (tmp_path / "main.ts").write_text("export const answer: number = 42;\n" * 100)
    (tmp_path / "short.ts").write_bytes(packet)
    (tmp_path / "empty.ts").touch()
    listing = walked(tmp_path, wants_videos=True)
    assert [found.path for found in listing.files] == ["NEWS.TS", "news.ts"]
    assert {kind_of_found(found.path) for found in listing.files} == {FileKind.VIDEO}
    assert sorted(listing.passed[FileKind.OTHER]) == ["empty.ts", "main.ts", "short.ts"]
    assert sorted(walked(tmp_path).passed[FileKind.VIDEO]) == ["NEWS.TS", "news.ts"]
