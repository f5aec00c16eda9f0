"""A worker gives an encoder as many tiles at once as it takes, and the answers stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions
from smallsight.engine.inline_engine import BLOCK_TOKENS, inline_worker
from smallsight.engine.reference.llama import LlamaReference
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Detail, Message, PicturePart, TextPart, Tile
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.quant.scheme import parse_scheme
from tiny_smolvlm import SHAPES, make_checkpoint


class Counting(SigLIPReference):
    """The plain encoder, which remembers the sizes of its calls."""

    def __init__(self, *arguments, at_once: int) -> None:
        super().__init__(*arguments)
        self.tiles_at_once = at_once
        self.calls: list[int] = []

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        self.calls.append(len(tiles))
        return super().encode(tiles)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


def pictures(count: int) -> list[PicturePart]:
    values = np.random.default_rng(0)
    sizes = [(90 + 40 * number, 64) for number in range(count)]
    return [
        PicturePart(Image.fromarray(values.integers(0, 256, (height, width, 3), np.uint8)))
        for width, height in sizes
    ]


def answers(folder: Path, at_once: int) -> tuple[list[tuple[int, ...]], Counting]:
    """Ask about one picture, then about that and others: their tiles are encoded, but for the known ones."""
    model = SmolVLMModel(folder, parse_scheme("fp32"), 0)
    stored = dict(model.store())
    decoder = {name: one for name, one in stored.items() if name.startswith(model.decoder_names)}
    others = {name: one for name, one in stored.items() if not name.startswith(model.decoder_names)}
    runner = LlamaReference(model.config.text, decoder, num_blocks=64, block_tokens=BLOCK_TOKENS)
    vision = Counting(model.config, others, model.to_patches, FeatureCache(1 << 24), at_once=at_once)
    worker = inline_worker(model, vision, runner, EngineOptions())
    found = []
    for count in (1, 3):
        message = Message("user", (*pictures(count), TextPart("What?")))
        prompt = model.processor.prepare([message], detail=Detail.HIGH, tools=[])
        asked = worker.submit(prompt, SamplingOptions(max_tokens=5), ignores_end=True)
        found.append(tuple(choice.token_id for choice in asked.result().choices))
    worker.close()
    return found, vision


@pytest.mark.parametrize("at_once", [2, 3, 50])
def test_the_answers_are_those_of_tiles_one_by_one(folder: Path, at_once: int) -> None:
    expected, one_by_one = answers(folder, 1)
    found, together = answers(folder, at_once)
    assert found == expected
    assert set(one_by_one.calls) == {1}
    assert 1 < max(together.calls) <= at_once
    assert len(together.calls) < len(one_by_one.calls)
    assert sum(together.calls) == sum(one_by_one.calls)  # a known tile is not encoded again
