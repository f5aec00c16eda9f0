"""The shipped model answers in schemes that are explored, and its weights have the predicted size.

``benchmarks/int4_schemes.py`` loads every one of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import smallsight
from smallsight.catalog.catalog import load_catalog
from smallsight.engine.engine import EngineOptions
from smallsight.inventory.footprint import scheme_bytes
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.policy.row_bands import RowBands
from smallsight.quant.exploring import explored_schemes

NAME = "Smallsight-tiny"
SHIPPED = Path(smallsight.__file__).parent / "shipped" / NAME
STICKER = Path(__file__).parents[3] / "examples" / "stickers" / "sticker_1.png"
ENTRY = load_catalog().find(NAME)
EXPLORED = {one.name: one for one in explored_schemes(lambda scheme: scheme_bytes(ENTRY, scheme))}
LOADED = ("int8-rows", "int4-f32", "int4-text-32", "nf4-double", "fp4")  # every kind of code
OPTIONS = EngineOptions(row_bands=RowBands(), cache_bytes=1, feature_cache_bytes=0)


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("name", LOADED)
def test_it_answers_and_has_the_predicted_size(name):
    explored = EXPLORED[name]
    with VisionLanguageModel.load(
        SHIPPED, family="smolvlm", name=NAME, precision=str(explored.scheme), threads=1, options=OPTIONS
    ) as model:
        answer = model.ask(Image.open(STICKER), "Can you describe this image?", max_tokens=8, detail="low")
        stored_bytes = model.memory.weights_bytes
    assert "a bee" in answer.text
    assert stored_bytes == pytest.approx(explored.num_bytes, rel=0.2)
