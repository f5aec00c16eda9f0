"""Tags from end to end: a tiny Florence-2 tags a library, and what the command line refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny_florence2 import SHAPES, write_tiny_florence2

from .conftest import Command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_florence2(tmp_path_factory.mktemp("florence2") / "tiny", SHAPES[0])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_library_is_tagged_once(
    smallsight: Command, pictures: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    stages = smallsight.json("index", pictures, "--tags-model", checkpoint)["stages"]
    assert [stages[name]["done"] for name in ("look", "read", "describe", "tag")] == [3, 3, 0, 3]
    stages = smallsight.json("index", "--model", checkpoint, "--tags")["stages"]
    assert [stages[name]["done"] for name in ("look", "read", "describe", "tag")] == [0, 0, 3, 0]
    for path in pictures.iterdir():
        shown = smallsight.json("show", path)
        assert shown["machine_tags"] == shown["tags"]
        for name in shown["tags"][:1]:
            assert smallsight.json("edit", path, "--tag", name)["machine_tags"] == shown["tags"][1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tags"], "No model is set to tag"),
        (["--tags", "--model", "test"], "only Florence-2"),
        (["--no-tags", "--tags-model", "test"], "contradict"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_work(
    smallsight: Command, pictures: Path, arguments: list[str], words: str
):
    _, err = smallsight.run("index", pictures, *arguments, code=2)
    assert words in err
    assert "Florence-2" in err or "contradict" in err
    assert "Looking at pictures" not in err
