"""Situations from public reports about similar software, with the whole command and the right values.

Each test names the reports as project#number; ``docs/real-world-log.md`` has the table.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

pytestmark = pytest.mark.slow

NOT_TEXT = os.fsdecode(b"caf\xe9")
ON_LINUX = pytest.mark.skipif(os.uname().sysname != "Linux", reason="file names are Unicode elsewhere")


@pytest.fixture(autouse=True)
def no_reading(monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_THREADS", "1")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def card(path: Path, seed: int = 1, size: tuple[int, int] = (320, 240)) -> Path:
    """Draw a picture with a structure of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def paths_found(smallsight, *words: str) -> list[str]:
    return sorted(Path(hit["path"]).name for hit in smallsight.json("search", *words, "--mode", "keyword"))


def test_a_file_from_the_year_2300_stops_nothing(smallsight, folder, tmp_path):
    """Plex Scanners.bundle#61, pigallery2#245, immich#21635"""
    card(folder / "good.png", 1)
    os.utime(card(folder / "future.png", 2), (10_413_792_000,) * 2)
    os.utime(card(folder / "past.png", 3), (-300_000_000,) * 2)
    card(tmp_path / "second" / "other.png", 4)
    found = smallsight.json("index", folder, tmp_path / "second")
    assert [one["added"] for one in found["folders"]] == [3, 1]
    assert found["problems"] == []
    assert [one["hashed"] for one in smallsight.json("index")["folders"]] == [0, 0]


def test_a_rating_by_another_program_leaves_a_persons_words(smallsight, folder):
    """picpocket#1, photoprism#755, elodie#496; photoprism#486 is the opposite"""
    path = card(folder / "cat.png")
    smallsight.run("index", folder)
    smallsight.run("edit", path, "--tag", "cats", "--description", "My own words about Felix")
    info = PngInfo()
    info.add_text("Rating", "5")
    Image.open(path).save(path, pnginfo=info)
    smallsight.run("index")
    shown = smallsight.json("show", path)
    assert (shown["description"], shown["tags"]) == ("My own words about Felix", ["cats"])
    assert paths_found(smallsight, "Felix") == ["cat.png"]
    card(path, 2)
    smallsight.run("index")
    assert smallsight.json("show", path)["tags"] == []
    assert [one["tags"] for one in smallsight.json("lost")] == [["cats"]]


def test_bins_and_snapshots_are_not_pictures_of_yours(smallsight, folder):
    """photoprism#287, photoprism#4921, photoprism#2844, nextcloud/recognize#1385"""
    for number, name in enumerate(
        ("$Recycle.Bin/S-1/$R1.png", "#snapshot/a.png", "@Recycle/b.png", "@eadir/c.png", "keep.png")
    ):
        card(folder / name, number)
    found = smallsight.json("index", folder)["folders"][0]
    assert found["found"] == 1
    passed = {one["reason"]: one["names"] for one in found["passed_over"]}
    assert passed == {"excluded": ["#snapshot/", "$Recycle.Bin/", "@Recycle/", "@eadir/"]}


def test_git_annex_keeps_pictures_behind_links(smallsight, folder, monkeypatch):
    """photoprism#1049, photoprism#1723, home-gallery#20"""
    target = card(folder / ".git" / "annex" / "objects" / "SHA256E-1.png")
    (folder / "holiday.png").symlink_to(target)
    _, err = smallsight.run("index", folder)
    assert "Passed over: 1 link" in err
    monkeypatch.setenv("SMALLSIGHT_INDEX__FOLLOW_SYMLINKS", "true")
    assert smallsight.json("index")["folders"][0]["added"] == 1


def test_odd_suffixes_and_none_are_found_and_the_rest_is_counted(smallsight, folder):
    """immich#15074, photoprism#2693, Simple-Gallery#1486, elementary/photos#117"""
    for number, name in enumerate(("DqX1.jpg_large", "D2.jpg!large", "photo_without_suffix", "x.pjpeg")):
        card(folder / "x.jpg", number)
        (folder / "x.jpg").rename(folder / name)
    for name in ("scan.pdf", "IMG_1.CR3", "notes.txt"):
        (folder / name).write_bytes(b"x")
    out, err = smallsight.run("index", folder)
    assert "4 pictures, 4 new" in err
    assert "Passed over: 1 PDF, 1 RAW photo, 1 other file." in err
    assert out == ""


def test_a_disk_that_is_not_connected_is_not_up_to_date(smallsight, folder, tmp_path):
    """immich#4925"""
    card(folder / "nas" / "1.png")
    card(tmp_path / "second" / "2.png", 2)
    smallsight.run("index", folder / "nas", tmp_path / "second")
    smallsight.run("edit", folder / "nas" / "1.png", "--tag", "keepme")
    (folder / "nas").rename(folder / "away")
    (folder / "nas").mkdir()
    card(tmp_path / "second" / "3.png", 3)
    _, err = smallsight.run("index", code=8)
    assert "Not complete" in err
    assert "Up to date" not in err
    assert paths_found(smallsight, "tag:keepme") == ["1.png"]
    assert len(smallsight.json("folders")) == 2
    (folder / "nas").rmdir()
    (folder / "away").rename(folder / "nas")
    assert smallsight.json("index")["complete"]


def test_no_name_reaches_the_terminal_raw(smallsight, folder):
    """broot#1188, nushell#17580, oans#202"""
    first = card(folder / "x.png", 1)
    odd = folder / "x\x1b]0;TITLE\x07\x1b[31mred\nline.png"
    odd.write_bytes(first.read_bytes())
    for arguments in (
        ("index", folder),
        ("search", "red", "--mode", "keyword"),
        ("duplicates",),
        ("show", odd),
    ):
        out, err = smallsight.run(*arguments)
        assert not {"\x1b", "\x07"} & set(out + err)
    assert r"x\x1b]0;TITLE\x07\x1b[31mred\nline.png" in smallsight.run("duplicates")[0]


@ON_LINUX
def test_words_and_names_that_are_not_utf8_are_one_sentence(smallsight, folder):
    """maestral#230, dupeguru#335, file-hunter#6"""
    path = card(folder / "a.png")
    (folder / NOT_TEXT).mkdir()
    (folder / NOT_TEXT / "b.png").write_bytes(path.read_bytes())
    found = smallsight.json("index", folder)
    assert [problem["path"] for problem in found["problems"]] == ["caf\\udce9"]
    for arguments, code in (
        (("edit", path, "--description", NOT_TEXT), 2),
        (("edit", path, "--tag", NOT_TEXT), 2),
        (("edit", path, "--text", NOT_TEXT), 2),
        (("show", folder / NOT_TEXT / "b.png"), 3),
        (("search", "--similar", folder / NOT_TEXT / "b.png"), 0),  # any readable file
        (("folders", "remove", folder / NOT_TEXT), 3),
        (("index", folder / NOT_TEXT), 3),
        (("search", NOT_TEXT), 0),
        (("describe", path, "--prompt", NOT_TEXT, "--model", "test"), None),
    ):
        _, err = smallsight.run(*arguments, code=code) if code is not None else ("", "")
        assert "Traceback" not in err


def test_a_damaged_picture_has_one_problem_and_no_thumbnail(smallsight, folder, monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "true")
    path = card(folder / "half.png")
    path.write_bytes(path.read_bytes()[:200])
    smallsight.run("index", folder)
    shown = smallsight.json("show", path)
    assert (len(shown["problems"]), shown["thumbnail"]) == (1, None)
    assert [hit["thumbnail"] for hit in smallsight.json("search", "half", "--mode", "keyword")] == [None]


def test_what_was_never_indexed_is_told_what_would_help(smallsight, folder):
    card(folder / "a.png")
    smallsight.run("index", folder)
    (folder / "clip.mp4").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    card(folder / "new.png", 2)
    for name, words in (
        ("clip.mp4", "smallsight index"),
        ("notes.txt", "not a picture"),
        ("new.png", "smallsight index"),
        ("nowhere.png", "no such file"),
        (".", "This is a folder"),
    ):
        assert words in smallsight.run("show", folder / name, code=3)[1]


@pytest.mark.parametrize("removed_first", [True, False])
def test_a_folder_renamed_while_the_program_is_off_keeps_its_words(smallsight, folder, removed_first):
    """immich#18933, photoprism#568"""
    old, new = folder / "old", folder / "new"
    card(old / "cat.png")
    smallsight.run("index", old)
    smallsight.run("edit", old / "cat.png", "--tag", "cats", "--description", "Felix on the roof")
    old.rename(new)
    steps = [("folders", "remove", old), ("index", new)]
    for step in steps if removed_first else reversed(steps):
        smallsight.run(*step)
    assert smallsight.json("show", new / "cat.png")["tags"] == ["cats"]
    assert paths_found(smallsight, "Felix") == ["cat.png"]


def test_what_is_excluded_later_leaves_the_search_and_comes_back(smallsight, folder, monkeypatch):
    """photoprism#1419"""
    card(folder / "private" / "a.png", 1)
    card(folder / "open" / "b.png", 2)
    smallsight.run("index", folder)
    smallsight.run("edit", folder / "private" / "a.png", "--tag", "mine")
    with monkeypatch.context() as patch:
        patch.setenv("SMALLSIGHT_INDEX__EXCLUDE", '["private"]')
        assert smallsight.json("index")["folders"][0]["vanished"] == 1
        assert paths_found(smallsight, "") == ["b.png"]
    (folder / "open" / ".nomedia").touch()
    smallsight.run("index")
    assert paths_found(smallsight, "") == ["a.png"]
    assert paths_found(smallsight, "tag:mine") == ["a.png"]


def test_names_that_shells_and_tables_stumble_on(smallsight, folder):
    """LibrePhotos#148 and others: quotes, blanks, dashes, accents as marks, 240 bytes"""
    names = ['it\'s "q" $HOME.png', " .png", "-dash.png", "ü" * 115 + ".png", "Cafe\u0301 Zu\u0308rich.png"]
    for number, name in enumerate(names):
        card(folder / name, number)
    assert smallsight.json("index", folder)["folders"][0]["added"] == len(names)
    assert paths_found(smallsight, "") == sorted(names)
    assert paths_found(smallsight, "zürich") == [names[-1]]
    for name in names:
        assert smallsight.json("show", folder / name)["paths"] == [str(folder / name)]


def test_a_file_instead_of_a_folder_and_a_folder_where_files_are_described(smallsight, folder):
    path = card(folder / "a.png")
    assert "in no folder of the library" in smallsight.run("index", path, code=3)[1]
    assert str(path) in smallsight.run("describe", folder, "--model", "test")[0]


def test_a_loop_of_links_ends_and_a_linked_root_is_its_folder(smallsight, folder, monkeypatch):
    """LibrePhotos#148, photoprism#414"""
    monkeypatch.setenv("SMALLSIGHT_INDEX__FOLLOW_SYMLINKS", "true")
    card(folder / "real" / "a.png")
    (folder / "real" / "loop").symlink_to(folder)
    (folder / "root").symlink_to(folder / "real")
    assert smallsight.json("index", folder / "root")["folders"][0]["added"] == 1
    assert [one["path"] for one in smallsight.json("folders")] == [str(folder / "real")]
