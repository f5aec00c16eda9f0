"""A library that either engine describes: the same descriptions in fp32, and the same pictures found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from smallsight.engine.torch.packages import has_torch

from .conftest import Command

ENGINES = ("openvino", "torch")
MODEL = "Smallsight-tiny"
STICKERS = Path(__file__).parents[2] / "examples" / "stickers"
SHOWN = ("sticker_1.png", "sticker_3.png", "sticker_5.png")

pytestmark = pytest.mark.skipif(not has_torch(), reason="needs torch and transformers")


@pytest.mark.slow
def test_a_library_is_described_and_searched_alike(
    smallsight: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__PRECISION", "fp32")
    monkeypatch.setenv("SMALLSIGHT_LOG_LEVEL", "info")
    home, seen = smallsight.home, []
    for engine in ENGINES:
        smallsight.home = home / engine
        smallsight.home.mkdir()
        chosen = f'engine = "{engine}"\ndevice = "cpu"\n'
        (smallsight.home / "smallsight.toml").write_text(f'[models."{MODEL}"]\n{chosen}')
        out, log = smallsight.run("index", folder_of(tmp_path), "--model", MODEL, "--json")
        assert json.loads(out)["stages"]["describe"]["done"] == len(SHOWN)
        assert ("torch_device" in log) == (engine == "torch")
        said = [smallsight.json("show", tmp_path / "pictures" / name)["description"] for name in SHOWN]
        word = said[0].split()[-1].strip(".")
        hits = [(hit["path"], hit["score"]) for hit in smallsight.json("search", word)]
        seen.append((said, word, hits))
    assert seen[0] == seen[1]
    said, _, hits = seen[1]
    assert len(set(said)) == len(SHOWN)
    assert hits


def folder_of(parent: Path) -> Path:
    """Return a folder with a few stickers, made at the first call."""
    folder = parent / "pictures"
    if not folder.exists():
        folder.mkdir()
        for name in SHOWN:
            shutil.copy(STICKERS / name, folder)
    return folder
