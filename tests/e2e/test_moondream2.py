"""moondream2 from end to end: two lengths on the command line, and a library that is described."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny_moondream2 import SHAPES, write_tiny_moondream2

from .conftest import Command


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 140, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "one.png")
    return folder / "one.png"


@pytest.mark.slow
def test_two_lengths_say_different_things(smallsight: Command, picture: Path, checkpoint: Path):
    asked = ("describe", picture, "--model", checkpoint, "--precision", "fp32", "--max-tokens", "8")
    usual, short, normal = (
        smallsight.json(*asked, *length)[0] for length in ((), ("--length", "short"), ("--length", "normal"))
    )
    assert usual["text"] == short["text"] != normal["text"]
    assert usual["usage"]["image_tokens"] == 81


def test_a_library_is_described_and_again_in_another_length(
    smallsight: Command, picture: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    asked = ("index", picture.parent, "--model", checkpoint)
    assert smallsight.json(*asked)["stages"]["describe"]["done"] == 1
    assert smallsight.json(*asked)["stages"]["describe"]["done"] == 0
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__LENGTH", "normal")
    assert smallsight.json(*asked)["stages"]["describe"]["done"] == 1


def test_a_model_of_one_length_says_so(smallsight: Command, picture: Path):
    _, err = smallsight.run("describe", picture, "--model", "test", "--length", "long", code=2)
    assert "--length cannot be 'long'" in err
