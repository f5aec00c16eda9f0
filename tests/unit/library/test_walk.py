from __future__ import annotations

import os
from pathlib import Path

from smallsight.library.walk import list_pictures

SUFFIXES = frozenset({".jpg", ".png"})


def listed(root: Path, **options: object) -> list[str]:
    defaults: dict[str, object] = {"suffixes": SUFFIXES, "exclude": (".*", "cache"), "follow_symlinks": False}
    return [found.path for found in list_pictures(root, **{**defaults, **options}).files]  # type: ignore[arg-type]


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


def test_links_to_files_are_never_followed(tmp_path: Path):
    touch(tmp_path, "outside/secret.jpg", "in/a.jpg")
    (tmp_path / "in" / "link.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    assert listed(tmp_path / "in", follow_symlinks=True) == ["a.jpg"]


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
    listing = list_pictures(tmp_path, suffixes=SUFFIXES, exclude=(), follow_symlinks=False)
    assert [found.path for found in listing.files] == ["a.jpg"]
    (hidden,) = listing.unreadable_folders
    assert not listing.covers(f"{hidden}/b.jpg")
    assert listing.covers(f"{hidden}b.jpg")


def test_a_root_that_is_gone_covers_nothing(tmp_path: Path):
    listing = list_pictures(tmp_path / "gone", suffixes=SUFFIXES, exclude=(), follow_symlinks=False)
    assert listing.files == []
    assert not listing.covers("anything.jpg")


def test_names_that_are_not_text_are_reported(tmp_path: Path):
    touch(tmp_path, "good.jpg")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg"))).write_bytes(b"x")
    listing = list_pictures(tmp_path, suffixes=SUFFIXES, exclude=(), follow_symlinks=False)
    assert [found.path for found in listing.files] == ["good.jpg"]
    assert len(listing.unreadable_names) == 1
    listing.unreadable_names[0].encode()  # can be shown
