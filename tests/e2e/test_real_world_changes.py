"""Folders that change, hide and rename, as reported of other photo software; ``docs/real-world-log.md``."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


@pytest.fixture(autouse=True)
def no_reading(monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_THREADS", "1")


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def card(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(cells).resize((320, 240), Image.Resampling.BICUBIC).save(path)
    return path


def names(smallsight, *words: str) -> list[str]:
    hits = smallsight.json("search", *words, "--mode", "keyword", "--limit", "1000")
    return sorted(Path(path).name for hit in hits for path in (hit["path"], *hit["other_paths"]))


def test_a_folder_renamed_in_case_only_keeps_its_words_and_has_no_twin(smallsight, folder):
    """immich#29996, immich#17473"""
    path = card(folder / "PIter.2023" / "a.png")
    smallsight.run("index", folder)
    smallsight.run("edit", path, "--tag", "bridge")
    (folder / "PIter.2023").rename(folder / "Piter.2023")
    smallsight.run("index")
    shown = smallsight.json("show", folder / "Piter.2023" / "a.png")
    assert shown["tags"] == ["bridge"]
    assert shown["paths"] == [str(folder / "Piter.2023" / "a.png")]
    assert smallsight.json("duplicates")["same"] == []


def test_another_picture_under_a_deleted_name_is_seen(smallsight, folder):
    """immich#11054"""
    card(folder / "Test.png", 1).unlink()
    card(folder / "Test.png", 1)
    smallsight.run("index", folder)
    (folder / "Test.png").unlink()
    card(folder / "keep.png", 9)
    smallsight.run("index")
    assert names(smallsight, "test") == []
    card(folder / "Test.png", 2)
    smallsight.run("index")
    assert names(smallsight, "test") == ["Test.png"]


def test_a_file_read_while_it_was_copied_is_read_again_when_it_is_whole(smallsight, folder):
    """nomacs#819, immich#9964"""
    path = card(folder / "copy.png")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert len(smallsight.json("index", folder)["problems"]) == 1
    path.write_bytes(whole)
    assert smallsight.json("index")["problems"] == []
    shown = smallsight.json("show", path)
    assert (shown["width_px"], shown["problems"]) == (320, [])
    assert Path(shown["thumbnail"]).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems unify the forms of names")
@pytest.mark.parametrize("word", ["größen", "한국어", "й"])
def test_a_name_is_found_in_either_unicode_form(smallsight, folder, word):
    """zed#30503, jphototagger#5, shelf-back#50: macOS writes decomposed names"""
    for form, seed in (("NFC", 1), ("NFD", 2)):
        card(folder / f"{unicodedata.normalize(form, word)} x.png", seed)
    smallsight.run("index", folder)
    for form in ("NFC", "NFD"):
        assert len(names(smallsight, unicodedata.normalize(form, word))) == 2


def test_dates_changed_by_a_script_change_nothing(smallsight, folder):
    """nextcloud/photos#633: every file looks new, and none is"""
    for seed in range(3):
        card(folder / f"{seed}.png", seed)
    smallsight.run("index", folder)
    smallsight.run("edit", folder / "1.png", "--tag", "mine")
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    found = smallsight.json("index")["folders"][0]
    assert (found["added"], found["changed"], found["vanished"]) == (0, 0, 0)
    assert names(smallsight, "tag:mine") == ["1.png"]


def has_pictures(database: Path) -> bool:
    if not database.is_file():
        return False
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT 1 FROM picture").fetchone() is not None
        except sqlite3.OperationalError:
            return False


def test_files_that_go_while_a_run_reads_them_stop_nothing(smallsight, folder):
    """pigallery2#704, jellyfin#3264"""
    for seed in range(60):
        card(folder / f"{seed:02}.png", seed)
    process = smallsight.start("index", folder, "--json")
    while not has_pictures(smallsight.home / "library.sqlite3"):
        assert process.poll() is None
    assert process.poll() is None, "the run was over before a file went"
    for number in range(59, 29, -1):
        (folder / f"{number:02}.png").unlink()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    assert json.loads(out)["folders"][0]["found"] == 60, "the files went before the scan"
    smallsight.run("index")
    assert len(names(smallsight, "")) == 30


def test_the_library_is_searched_while_a_run_fills_it(smallsight, folder):
    """photoprism#2707: "database is locked" """
    for seed in range(80):
        card(folder / f"{seed:02}.png", seed)
    process = smallsight.start("index", folder, "--json")
    answers = 0
    while process.poll() is None:
        if has_pictures(smallsight.home / "library.sqlite3"):
            smallsight.run("search", "07", "--mode", "keyword")
            answers += 1
    assert process.returncode == 0, process.communicate()
    assert answers
    assert names(smallsight, "07") == ["07.png"]


def without_roots_rights() -> None:
    """Drop what lets root enter any folder, in the child before its program begins."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are dropped as on Linux")
@pytest.mark.parametrize("name", [".locked", "locked", "#recycle"])
def test_a_folder_that_may_not_be_entered_costs_only_itself(smallsight, folder, name):
    """immich#15515, jellyfin#2402, codex#795, nextcloud/server#54446, navidrome#328"""
    card(folder / "a.png", 1)
    card(folder / name / "b.png", 2)
    card(folder / "z" / "c.png", 3)
    (folder / name).chmod(0)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "smallsight", "index", str(folder)],
            env=smallsight.environment(),
            preexec_fn=without_roots_rights,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        (folder / name).chmod(0o700)
    told = ended.stdout + ended.stderr
    assert ended.returncode == 0, told
    assert "2 pictures, 2 new" in told
    assert ("/locked" in told) == (name == "locked")


@pytest.mark.skipif(sys.platform != "linux", reason="root's rights are dropped as on Linux")
def test_what_may_not_be_read_may_be_named(smallsight, folder):
    """Typer 0.29.2 refuses each path that may not be read as wrong usage, before a command begins."""
    card(folder / "a.png", 1)
    card(folder / "b.png", 2)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smallsight", *arguments],
            env=smallsight.environment(),
            preexec_fn=without_roots_rights,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert run("index", str(folder)).returncode == 0
    (folder / "a.png").chmod(0)
    shown = run("show", str(folder / "a.png"))
    assert (shown.returncode, "PNG" in shown.stdout) == (0, True)
    described = run("describe", str(folder / "a.png"), str(folder / "b.png"), "--model", "test")
    assert "No permission to read this file" in described.stderr
    assert f"{folder / 'b.png'}\n" in described.stdout
    folder.chmod(0)
    try:
        removed = run("folders", "remove", str(folder), "--json")
    finally:
        folder.chmod(0o700)
    assert removed.returncode == 0, removed.stderr
