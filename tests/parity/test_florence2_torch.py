"""Florence-2 in the torch engine against the OpenVINO engine: the same tokens and scores in fp32."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from smallsight.engine.loading import OPENVINO, TORCH, load_engine
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import BrokenCheckpointError
from smallsight.families.florence2.tasks import TASKS
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.quant.scheme import TORCH_SCHEMES
from tiny_florence2 import SHAPES, write_tiny_florence2, write_under_original_names

PROMPTS = [f"{task.token}a red car" if task.takes_input else task.token for task in TASKS.values()]
PROMPTS.append("<REGION_TO_OCR><loc_5><loc_10><loc_500><loc_999>")
SIZES = ((97, 60), (3, 90), (64, 7), (200, 96), (1, 1))
needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is an extra")


def question(number):
    """One of all tasks, about a picture that no other question is about."""
    width, height = SIZES[number % len(SIZES)]
    values = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    parts = PicturePart(Image.fromarray(values)), TextPart(PROMPTS[number % len(PROMPTS)])
    return [Message("user", parts)]


def load(folder, engine=TORCH, precision="fp32"):
    device = "cpu" if engine == TORCH else "auto"
    return load_engine("florence2", folder, TORCH_SCHEMES[precision], engine=engine, device=device)


@pytest.fixture(scope="module", params=SHAPES[1:], ids=lambda shape: shape.name)
def folder(request, tmp_path_factory):
    target = tmp_path_factory.mktemp("florence2") / request.param.name
    return write_tiny_florence2(target, request.param)


@pytest.fixture(scope="module")
def both(folder):
    engines = load(folder, OPENVINO), load(folder)
    yield engines
    for engine in engines:
        engine.close()


def answers(engine, numbers, **options):
    """Ask all at once, so that questions share batches, and wait for all."""
    chosen = SamplingOptions(max_tokens=14, **options)
    asked = [engine.start(question(one), Detail.AUTO, chosen, ignores_end=False) for one in numbers]
    outcomes = [one.result() for one in asked]
    return [(tuple(token.token_id for token in one.choices), one.text, one.data) for one in outcomes]


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("beams", [1, 3])
def test_every_task_has_the_openvino_engines_tokens_and_results(both, beams):
    numbers = range(len(PROMPTS))
    expected, found = (answers(engine, numbers, num_beams=beams) for engine in both)
    assert found == expected
    assert len({tokens for tokens, _, _ in found}) > len(PROMPTS) // 2  # else they would not show much


def test_an_answer_in_a_batch_is_the_answer_alone(both):
    _, engine = both
    same_task = range(2, 2 + 4 * len(PROMPTS), len(PROMPTS))
    assert answers(engine, same_task) == [answers(engine, [one])[0] for one in same_task]


def test_scores_are_the_openvino_engines(both):
    for number, answer in ((0, "a cat<loc_5><loc_999> and"), (5, [0, 40, 71, 300, 2])):
        expected, found = (one.score(question(number), Detail.AUTO, answer).result().scores for one in both)
        assert found.token_ids == expected.token_ids
        assert found.top_ids == expected.top_ids
        # As beside transformers: other instruction sets add in another order.
        np.testing.assert_allclose(found.log_distributions, expected.log_distributions, rtol=2e-4, atol=1e-3)


def test_a_checkpoint_under_the_first_publishers_names_answers_alike(both, folder, tmp_path):
    image_px = both[0].processor.image_px
    engine = load(write_under_original_names(folder, tmp_path / "original", image_px))
    assert answers(engine, range(3)) == answers(both[1], range(3))
    engine.close()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_other_number_types_answer_and_are_no_larger(both, folder, precision):
    engine = load(folder, precision=precision)
    assert engine.weights_bytes <= both[1].weights_bytes
    assert all(tokens for tokens, _, _ in answers(engine, range(2)))
    engine.close()


@pytest.mark.mostly_slow(2)
@needs_bitsandbytes
@pytest.mark.parametrize(("precision", "form"), [("nf4", "nf4-double"), ("int8", "llm-int8")])
def test_bitsandbytes_stores_the_text_and_leaves_tower_and_head(folder, precision, form):
    engine = load(folder, precision=precision)
    quantised = {part.part for part in engine.parts if part.form == form}
    assert quantised == {"text"}
    assert all(tokens for tokens, _, _ in answers(engine, range(2)))
    engine.close()


def test_a_tensor_that_is_not_finite_is_named(folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    broken = write_under_original_names(folder, tmp_path / "broken", 96 if "padded" in folder.name else 128)
    tensors = load_file(broken / "model.safetensors")
    tensors["image_proj_norm.bias"] = np.full_like(tensors["image_proj_norm.bias"], np.nan)
    save_file(tensors, broken / "model.safetensors")
    with pytest.raises(BrokenCheckpointError, match=r"image_proj_norm\.bias .* not finite"):
        load(broken)
