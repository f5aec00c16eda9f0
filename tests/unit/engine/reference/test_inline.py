"""The fast engine says what the plain one in numpy says."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from invariants import tokens_are_equal
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import LOADERS
from smallsight.model.vision_language_model import VisionLanguageModel
from tiny_smolvlm import SHAPES, make_checkpoint

OPTIONS = EngineOptions(chunk_tokens=32, cache_bytes=4 << 20)


def open_model(folder, engine: str, precision: str) -> VisionLanguageModel:
    return VisionLanguageModel.load(
        folder, family="smolvlm", name="tiny", precision=precision, threads=1, options=OPTIONS, engine=engine
    )


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3]], ids=lambda one: one.name)
def test_both_engines_give_the_same_tokens_in_fp32(shape, tmp_path) -> None:
    folder = make_checkpoint(tmp_path / "model", shape)
    values = np.random.default_rng(1)
    pictures = [Image.fromarray(values.integers(0, 256, (50, size, 3), np.uint8)) for size in (60, 90)]
    found = {}
    for engine in ("reference", "openvino"):
        with open_model(folder, engine, "fp32") as model:
            found[engine] = [
                model.describe(one, max_tokens=10, detail="auto", ignore_stop=True, num_logprobs=1)
                for one in pictures
            ]
    for own, fast in zip(found["reference"], found["openvino"], strict=True):
        tokens_are_equal(fast.token_ids, own.token_ids, "openvino beside the reference")
        np.testing.assert_allclose(
            [one.logprob for one in fast.logprobs], [one.logprob for one in own.logprobs], atol=1e-3
        )


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_quantised_weights_mean_the_same_numbers_to_both(precision, tmp_path) -> None:
    """Only activations differ: bfloat16 or rounded groups in one, float32 in the other."""
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    picture = Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 60, 3), np.uint8))
    found = []
    for engine in ("reference", "openvino"):
        with open_model(folder, engine, precision) as model:
            answer = model.describe(picture, max_tokens=1, detail="auto", num_logprobs=20, ignore_stop=True)
            found.append(dict(answer.logprobs[0].alternatives))
    shared = sorted(set(found[0]) & set(found[1]))
    assert len(shared) >= 10
    difference = np.array([found[0][one] - found[1][one] for one in shared])
    assert np.median(np.abs(difference)) < 0.1  # float32 arithmetic: 1e-3; bfloat16 is coarser
    assert np.abs(difference).max() < 0.5


def test_the_reference_has_a_loader_for_smolvlm_alone() -> None:
    assert [family for engine, family in LOADERS if engine == "reference"] == ["smolvlm"]
