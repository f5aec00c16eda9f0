"""Editing several pictures and all tags, and taking it back, on the command line."""

from __future__ import annotations

import os
import pty
import select
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tiny_bert import write_tiny_bert

from .conftest import Command

NUM_PICTURES = 24


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an indexed library in ``home`` and its pictures, which no test changes."""
    folder = tmp_path_factory.mktemp("editing")
    (folder / "pictures").mkdir()
    for number in range(NUM_PICTURES):
        Image.new("RGB", (30, 20), (10 * number, 5, 200)).save(folder / "pictures" / f"cat {number:02}.png")
    write_tiny_bert(folder / "bert")
    settings = (
        f'[index]\nocr = false\n[embedding]\nmodel_dir = "{folder / "bert"}"\n[search]\nmin_similarity = 1\n'
    )
    command = Command(folder / "home")
    command.home.mkdir()
    (command.home / "smallsight.toml").write_text(settings)
    command.run("index", folder / "pictures", "--quiet")
    return folder


@pytest.fixture
def pictures(smallsight: Command, indexed: Path) -> Path:
    """Pictures that are in the library of the command, which is a copy."""
    shutil.rmtree(smallsight.home)
    shutil.copytree(indexed / "home", smallsight.home)
    return indexed / "pictures"


def test_several_pictures_are_edited_and_the_others_named(smallsight: Command, pictures: Path):
    paths = [pictures / "cat 00.png", pictures / "nowhere.png", pictures / "cat 01.png"]
    out, err = smallsight.run("edit", *paths, "--tag", "pets", code=3)
    assert out.splitlines() == [f"{paths[0]}: tagged pets", f"{paths[2]}: tagged pets"]
    assert f"{paths[1]}: There is no such file" in err
    assert "2 changed, 0 unchanged." in err
    done = smallsight.json("edit", *paths, "--tag", "Pets", "--tag", "old", "--untag", "x", code=3)
    assert (done["changed"], done["tags_not_there"]) == (2, ["x"])
    assert [row["error"] and row["error"]["code"] for row in done["pictures"]] == [
        None,
        None,
        "not_in_library",
    ]
    out, _ = smallsight.run("undo")
    assert out == "Undone: tagged Pets, old; untagged x (2 pictures).\n"
    assert smallsight.json("show", paths[0])["tags"] == ["pets"]


def test_one_picture_is_answered_in_a_line(smallsight: Command, pictures: Path):
    path = pictures / "cat 00.png"
    out, err = smallsight.run("edit", path, "--tag", "a\x1b[31m", "--description", "mine")
    assert out == f"{path}: description written; tagged a\\x1b[31m\n"
    assert "smallsight undo" in err
    assert smallsight.run("edit", path, "--description", "mine")[0] == f"{path}: unchanged\n"


def test_a_tag_that_is_not_there_is_named(smallsight: Command, pictures: Path):
    path = pictures / "cat 00.png"
    _, err = smallsight.run("edit", path, "--untag", "nosuch", code=3)
    assert "This picture has no tag 'nosuch'." in err
    assert "hint: it has no tags." in err
    _, err = smallsight.run("edit", path, "--tag", "a", "--untag", "nosuch")
    assert "This picture has no tag 'nosuch'; its tags are a." in err
    assert smallsight.json("edit", path, "--untag", "nosuch", code=3)["error"]["code"] == "not_in_library"
    _, err = smallsight.run("edit", path, pictures / "cat 01.png", "--untag", "nosuch", code=3)
    assert "None of these pictures has the tag 'nosuch'." in err
    done = smallsight.json("edit", path, pictures / "x.png", "--untag", "nosuch", code=3)
    assert (done["edit"], done["changed"], done["tags_not_there"]) == (None, 0, ["nosuch"])
    _, err = smallsight.run("edit", pictures / "x.png", pictures / "y.png", "--untag", "nosuch", code=3)
    assert "0 changed" in err
    assert "None of these" not in err
    assert "cannot be empty" in smallsight.run("edit", path, "--tag", "", code=2)[1]


def test_all_that_a_search_finds_is_edited(smallsight: Command, pictures: Path):
    _, err = smallsight.run("edit", "--search", "cat", "--tag", "cats", code=2)
    assert "Found 24 pictures." in err
    assert "Edit 24 pictures (tagged cats)?" in err
    assert "add --yes" in err
    assert "No picture was found" in smallsight.run("edit", "--search", "dog", "--tag", "x", code=3)[1]
    out, err = smallsight.run("edit", "--search", "cat", "--tag", "cats", "--yes")
    assert (out, "24 changed, 0 unchanged." in err) == ("", True)
    done = smallsight.json("edit", "--search", "tag:cats 07", "--mode", "keyword", "--untag", "cats", "--yes")
    assert [row["path"] for row in done["pictures"]] == [str(pictures / "cat 07.png")]
    assert smallsight.json("tags") == [{"name": "cats", "pictures": 23, "by_person": 23, "by_machine": 0}]


def test_one_description_for_several_pictures_needs_an_answer(smallsight: Command, pictures: Path):
    paths = [pictures / "cat 00.png", pictures / "cat 01.png"]
    assert "the same words" in smallsight.run("edit", *paths, "--description", "cats", code=2)[1]
    smallsight.run("edit", *paths, "--description", "cats", "--yes")
    assert smallsight.json("show", paths[1])["description"] == "cats"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.png", "--search", "cat", "--tag", "t"], "contradict"),
        (["--tag", "t"], "No picture to edit"),
        (["--search", "cat", "--mode", "fuzzy", "--tag", "t"], "--mode cannot be 'fuzzy'"),
    ],
    ids=["both", "none", "mode"],
)
def test_wrong_usage_is_a_sentence(smallsight: Command, arguments: list[str], words: str):
    assert words in smallsight.run("edit", *arguments, code=2)[1]


def test_a_person_at_a_terminal_is_asked(smallsight: Command, pictures: Path):
    assert "Nothing was changed." in answer(smallsight, "n", "edit", "--search", "cat", "--tag", "cats")
    assert smallsight.json("tags") == []
    assert "24 changed" in answer(smallsight, "y", "edit", "--search", "cat", "--tag", "cats")


def answer(command: Command, said: str, *arguments: str) -> str:
    """Run a command on a terminal, answer its question, and return what it wrote."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            os.sys.executable, [os.sys.executable, "-m", "smallsight", *arguments], command.environment()
        )
    os.write(terminal, f"{said}\n".encode())
    written = b""
    try:
        while select.select([terminal], [], [], 60)[0]:
            written += os.read(terminal, 4096)
    except OSError:  # the terminal is closed when the command ends
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, written
    return written.decode()


def test_tags_are_listed_renamed_merged_and_removed(smallsight: Command, pictures: Path):
    assert "No picture has a tag." in smallsight.run("tags")[1]
    first, second = pictures / "cat 00.png", pictures / "cat 01.png"
    smallsight.run("edit", first, second, "--tag", "Kitten")
    smallsight.run("edit", first, "--tag", "kitty")
    listed = "Tag     Pictures  Yours  A model's\nKitten         2      2\nkitty          1      1\n"
    assert smallsight.run("tags")[0] == listed
    assert "Merge kitty into it" in smallsight.run("tags", "rename", "kitty", "kitten", code=2)[1]
    assert (
        smallsight.run("tags", "rename", "kitty", "KITTEN", "--yes")[0] == "kitty is now Kitten (1 picture)\n"
    )
    assert smallsight.run("tags", "rename", "kitten", "Cat")[0] == "kitten is now Cat (2 pictures)\n"
    assert smallsight.run("tags", "merge", "cat", "pets")[0] == "cat merged into pets (2 pictures)\n"
    assert smallsight.run("tags", "remove", "PETS")[0] == "PETS removed (2 pictures)\n"
    assert "`smallsight tags` lists them" in smallsight.run("tags", "remove", "pets", code=3)[1]
    for _ in range(4):
        smallsight.run("undo")
    assert smallsight.run("tags")[0] == listed


def test_edits_are_undone_redone_and_listed(smallsight: Command, pictures: Path):
    path = pictures / "cat 00.png"
    assert "There is nothing to undo." in smallsight.run("undo", code=3)[1]
    smallsight.run("edit", path, "--description", "one")
    smallsight.run("edit", path, "--description", "two", "--tag", "t")
    out, err = smallsight.run("undo", "1")
    assert out == "Undone: description written (0 pictures).\n"
    assert f"{path}: changed since, and kept as it is: description" in err
    assert smallsight.run("redo")[0] == "Done again: description written (0 pictures).\n"
    smallsight.run("undo")
    assert smallsight.json("show", path)["description"] == "one"
    listed = smallsight.run("undo", "--list")[0].splitlines()
    assert listed[0].split() == ["Edit", "Made", "Pictures", "What"]
    assert [line.split("  ")[-1] for line in listed[1:]] == [
        "description written; tagged t (undone)",
        "description written",
    ]
    assert "contradict" in smallsight.run("undo", "1", "--list", code=2)[1]
    smallsight.run("redo")
    assert smallsight.json("show", path)["tags"] == ["t"]
    assert "There is nothing to redo." in smallsight.run("redo", code=3)[1]


def test_nothing_is_created_where_there_is_no_library(smallsight: Command):
    for arguments in (["undo"], ["redo"], ["tags"], ["tags", "remove", "x"], ["edit", "x.png", "--tag", "y"]):
        assert "There is no library" in smallsight.run(*arguments, code=3)[1]
    assert not (smallsight.home / "library.sqlite3").exists()
