"""An answer does not end before it begins, unless its client wants that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

import smallsight
from smallsight.settings import Settings
from tiny_moondream2 import SHAPES as MOONDREAM_SHAPES
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES, make_checkpoint

PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 40, 3), np.uint8))


def first_tokens(folder: Path, **options: object) -> tuple[int, ...]:
    with smallsight.load(folder, precision="fp32", settings=Settings(home=folder.parent / "home")) as model:
        return model.ask(PICTURE, "What is this?", max_tokens=3, **options).token_ids


def test_a_chat_model_does_not_stop_at_its_first_token(tmp_path: Path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    wanted = first_tokens(folder)
    ending = shutil.copytree(folder, tmp_path / "ending")
    (ending / "generation_config.json").write_text(json.dumps({"eos_token_id": wanted[0]}))
    assert first_tokens(ending)[0] != wanted[0]
    assert first_tokens(ending, logit_bias={wanted[0]: 5.0}) == wanted[:1]


def test_moondream_does_not_either(tmp_path: Path):
    folder = write_tiny_moondream2(tmp_path / "model", MOONDREAM_SHAPES[0])
    wanted = first_tokens(folder)
    config = json.loads((folder / "config.json").read_text())
    ending = shutil.copytree(folder, tmp_path / "ending")
    config["config"]["tokenizer"]["eos_id"] = wanted[0]
    (ending / "config.json").write_text(json.dumps(config))
    assert first_tokens(ending)[0] != wanted[0]


def test_only_an_answer_without_text_is_made_longer(tmp_path: Path):
    """Its proofreader holds text back for several tokens: that is no answer without text."""
    with smallsight.load("Smallsight-tiny", settings=Settings(home=tmp_path)) as model:
        for colour in ("red", "black", "white"):
            picture = Image.new("RGB", (64, 64), colour)
            answer = model.ask(picture, "What is this?", max_tokens=30)
            end = answer.token_ids[-1]
            assert answer.finish_reason == "stop"
            assert (
                model.ask(picture, "What is this?", max_tokens=30, logit_bias={end: 1e-6}).token_ids
                == answer.token_ids
            )
