"""The torch engine says what the OpenVINO engine says, in fp32 on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

import smallsight
from clips import animation
from invariants import tokens_are_equal
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import OPENVINO, TORCH, load_engine
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.packages import has_bitsandbytes
from smallsight.engine.torch.smolvlm import TorchTileEncoder
from smallsight.errors import MissingExtraError, ModelNotRunnableError, OutOfResourcesError
from smallsight.families.messages import Tile
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.machine.processor import multiplies_bf16
from smallsight.model.picture_argument import NamedVideo
from smallsight.model.shown_parts import open_video
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES, TORCH_SCHEMES
from smallsight.settings import Limits, Settings
from tiny_smolvlm import SHAPES, VIDEO_SHAPES, make_checkpoint

ROOT = Path(__file__).parents[2]
PICTURES = sorted((ROOT / "examples" / "stickers").glob("*.png"))[:4]
ASKED = {"max_tokens": 12, "detail": "high", "ignore_stop": True}


def open_both(folder, precision="fp32", **options):
    chosen = EngineOptions(**{"chunk_tokens": 32, "cache_bytes": 4 << 20, "max_sequences": 4, **options})
    return [
        VisionLanguageModel(
            load_engine(
                "smolvlm", folder, TORCH_SCHEMES[precision], engine=engine, threads=1, options=chosen
            ),
            name=engine,
            precision=precision,
            limits=Limits(),
        )
        for engine in (OPENVINO, TORCH)
    ]


def picture(seed, width=150, height=90):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", VIDEO_SHAPES[0])


@pytest.fixture(scope="module")
def models(folder):
    opened = open_both(folder)
    yield opened
    for model in opened:
        model.close()


def the_same_by(models, ask):
    """Compare what both models answer, tokens and probabilities."""
    expected, got = (ask(model) for model in models)
    tokens_are_equal(got.token_ids, expected.token_ids, "torch beside openvino")
    np.testing.assert_allclose(
        [one.logprob for one in got.logprobs], [one.logprob for one in expected.logprobs], atol=1e-3
    )
    return got


@pytest.mark.parametrize("count", [1, 3])
def test_one_picture_and_several(models, count):
    shown = [picture(seed, 60 + 40 * seed) for seed in range(count)]
    answer = the_same_by(models, lambda model: model.ask(shown, "What is it?", num_logprobs=1, **ASKED))
    assert answer.usage.image_tokens > 0


def test_a_video(models):
    video = NamedVideo(None, open_video(animation(3), models[0].frame_sampling, Limits()))
    the_same_by(models, lambda model: model.ask(video, "What happens?", num_logprobs=1, **ASKED))


def test_many_at_once_are_as_alone_and_their_tiles_are_remembered(models):
    pictures = [picture(seed, 60 + 37 * seed, 80) for seed in range(6)]
    expected = [models[0].describe(one, **ASKED).token_ids for one in pictures]
    company = [one.token_ids for one in models[1].describe_many(pictures, batch_size=6, **ASKED)]
    assert company == expected
    again = models[1].describe(pictures[0], **ASKED)
    assert (again.token_ids, again.timings.vision_s) == (expected[0], 0)


def test_an_answer_survives_being_put_back_in_line(models, folder):
    pictures = [picture(seed) for seed in range(4)]
    long = {"max_tokens": 80, "detail": "low", "ignore_stop": True}
    expected = [models[0].describe(one, **long).token_ids for one in pictures]
    openvino, crowded = open_both(folder, max_blocks=6)  # room for one, shared by four
    with openvino, crowded:
        found = [one.token_ids for one in crowded.describe_many(pictures, batch_size=4, **long)]
        assert crowded._engine.worker.inspect().num_preemptions > 0  # noqa: SLF001
    assert found == expected


def test_a_given_answer_is_scored(models):
    answer = models[0].describe(picture(0), **ASKED).token_ids
    expected, got = (model.score(picture(0), None, answer, detail="high") for model in models)
    np.testing.assert_allclose(got.log_distributions, expected.log_distributions, atol=1e-3)


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("shape", [SHAPES[2], SHAPES[3], SHAPES[4]], ids=lambda one: one.name)
def test_other_shapes(shape, tmp_path):
    """Tied embeddings, an odd number of shared heads, several files."""
    opened = open_both(make_checkpoint(tmp_path / "model", shape))
    with opened[0], opened[1]:
        the_same_by(opened, lambda model: model.describe(picture(5), num_logprobs=1, **ASKED))


def test_the_shipped_model_says_the_same_words(tmp_path):
    settings, found = Settings(home=tmp_path / "home"), {}
    for engine in ("openvino", "torch"):
        with smallsight.load("Smallsight-tiny", precision="fp32", engine=engine, settings=settings) as model:
            found[engine] = [one.text for one in model.describe_many(PICTURES, max_tokens=40)]
    assert found["torch"] == found["openvino"]
    assert len(set(found["torch"])) > 1


def test_bf16_and_fp16_answer(folder):
    """A processor without bf16 instructions computes in fp32 what is asked for in bf16."""
    for precision, form in (("bf16", "bf16" if multiplies_bf16() else "fp32"), ("fp16", "fp16")):
        with VisionLanguageModel.load(
            folder, family="smolvlm", name="tiny", precision=precision, engine=TORCH, threads=1
        ) as model:
            assert len(model.describe(picture(0), **ASKED).token_ids) == 12
            assert {part.form for part in model.memory.parts} == {form}


@pytest.mark.parametrize(("precision", "form"), [("int8", "llm-int8"), ("nf4", "nf4-double")])
def test_the_recipes_of_bitsandbytes(folder, precision, form):
    """The head stays plain; all other linear layers are quantised."""
    load = {"family": "smolvlm", "name": "tiny", "precision": precision, "engine": TORCH, "threads": 1}
    if not has_bitsandbytes():
        with pytest.raises(MissingExtraError, match=r"bitsandbytes.*pip install 'smallsight\[torch\]'"):
            VisionLanguageModel.load(folder, **load)
        return
    with VisionLanguageModel.load(folder, **load) as model:
        assert len(model.describe(picture(0), **ASKED).token_ids) == 12
        parts = {(part.part, part.form) for part in model.memory.parts}
    assert {("vision", form), ("connector", form), ("text", form)} <= parts
    assert ("head", form) not in parts


def test_int4_is_nf4_in_this_engine(folder):
    with pytest.raises(ModelNotRunnableError, match=r"4 bits as nf4, not as int4.*precision='nf4'"):
        load_engine("smolvlm", folder, SCHEMES["int4"], engine=TORCH)


def test_memory_that_runs_out_is_a_sentence_and_the_next_request_works(folder, models):
    with pytest.raises(OutOfResourcesError, match=r"KV cache.*needed [\d,]+ MiB more; [\d,]+ MiB are free"):
        load_engine(
            "smolvlm", folder, SCHEMES["fp32"], engine=TORCH, options=EngineOptions(cache_bytes=2**50)
        )
    assert (
        models[1].describe(picture(0), **ASKED).token_ids == models[0].describe(picture(0), **ASKED).token_ids
    )


def test_greedy_answers_are_the_likeliest(models):
    assert not models[1].is_batch_independent
    own = models[1].describe(picture(4), **ASKED).token_ids
    assert models[1].score(picture(4), None, own, detail="high").top_ids == own


def test_tiles_encoded_together_are_those_encoded_one_by_one(folder):
    """As on a GPU, where a call has all tiles of a picture."""
    opened = SmolVLMModel(folder, TORCH_SCHEMES["fp32"], 0)
    network = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    side = opened.config.vision.image_px
    values = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    tiles = [Tile(pixels, bytes([number])) for number, pixels in enumerate(values)]
    device = choose_device("cpu")

    def encoder():
        return TorchTileEncoder(
            network.model, opened.processor.normalise, FeatureCache(1 << 20), device, torch.float32
        )

    assert encoder().tiles_at_once == 1
    together = encoder()
    found = together.encode(tiles)
    for tile, features_TD in zip(tiles, found, strict=True):
        (alone,) = encoder().encode([tile])
        np.testing.assert_allclose(features_TD, alone, atol=1e-5)
        np.testing.assert_array_equal(together.known(tile), features_TD)
