"""moondream2 on the torch engine: the OpenVINO engine's tokens, places and scores in fp32, and layers that
really are quantised.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from invariants import tokens_are_equal
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine, schemes_of
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.moondream2_layers import CheckpointLayers
from smallsight.engine.torch.packages import has_bitsandbytes
from smallsight.errors import BrokenCheckpointError, MissingExtraError, ModelNotRunnableError
from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.shapes import tensor_shapes_of
from smallsight.families.tensor_shape import Role, Use
from smallsight.machine.process_memory import process_memory
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES, Module
from smallsight.settings import Limits
from tiny_moondream2 import SHAPES, TinyMoondream2, change_tensors, write_tiny_moondream2

ENGINES = ("openvino", "torch")
ENDING = TinyMoondream2("often-at-an-end", patches=6, margin=1, end_bias=9.0)
PREFIX = 82  # of the first shape: 9 x 9 patches and the begin token
QUESTIONS = ("What is this?", "short caption", "normal caption", "¿Qué dice?\n\n  five, 猫 and 🦙.")
ASKED = {"max_tokens": 12, "detail": "high"}
needs_bitsandbytes = pytest.mark.skipif(not has_bitsandbytes(), reason="needs bitsandbytes and accelerate")


def picture(seed, width=150, height=90):
    random = np.random.default_rng(seed)
    patches = random.integers(0, 200, (4, 4, 3), np.uint8)
    large = patches[np.arange(height)[:, None] * 4 // height, np.arange(width)[None] * 4 // width]
    return Image.fromarray(large + random.integers(0, 56, large.shape, np.uint8))


PICTURES = [picture(seed, 60 + 37 * seed, 80) for seed in range(6)]
SEVERAL = PICTURES[1::2]


def open_model(folder, engine="torch", precision="fp32", **options):
    chosen = EngineOptions(**{"cache_bytes": 4 << 20, **options})
    loaded = load_engine(
        "moondream2",
        folder,
        schemes_of(engine)[precision],
        engine=engine,
        device="auto" if engine == "openvino" else "cpu",
        threads=1,
        options=chosen,
    )
    return VisionLanguageModel(loaded, name="tiny", precision=precision, limits=Limits())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])


@pytest.fixture(scope="module")
def pair(folder):
    """The first shape in fp32 on both engines."""
    with open_model(folder, "openvino") as openvino, open_model(folder) as on_torch:
        yield openvino, on_torch


@pytest.fixture(scope="module")
def model(pair):
    return pair[1]


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("shape", [*SHAPES, ENDING], ids=lambda one: one.name)
def test_answers_and_places_are_those_of_the_openvino_engine(shape, tmp_path):
    folder, found = write_tiny_moondream2(tmp_path / "tiny", shape), {}
    for engine in ENGINES:
        with open_model(folder, engine) as model:
            answers = [model.ask(one, text, **ASKED) for one in SEVERAL for text in QUESTIONS]
            places = [
                find(one, "a red car", max_places=3, detail="high")
                for one in SEVERAL
                for find in (model.detect, model.point)
            ]
        found[engine] = [*answers, *places]
    for expected, own in zip(found["openvino"], found["torch"], strict=True):
        tokens_are_equal(own.token_ids, expected.token_ids, "torch beside OpenVINO")
        assert own.finish_reason == expected.finish_reason
        for name in ("bboxes", "points"):
            if name in (expected.data or {}):
                np.testing.assert_allclose(own.data[name], expected.data[name], atol=1e-4)
    assert len({one.token_ids for one in found["torch"]}) > 2 * len(SEVERAL)


def test_scores_are_those_of_the_openvino_engine(pair):
    for text, answer in ((None, "A cat sits."), ("What is this?", [5, 9, 5, 200])):
        expected, own = (model.score(PICTURES[2], text, answer, detail="high") for model in pair)
        assert own.token_ids == expected.token_ids
        np.testing.assert_allclose(own.log_distributions, expected.log_distributions, atol=1e-3)


def test_an_answer_does_not_depend_on_its_batch(pair):
    asked = {"max_tokens": 20, "detail": "high", "ignore_stop": True}
    alone = [pair[0].describe(one, **asked) for one in PICTURES]
    company = list(pair[1].describe_many(PICTURES[::-1], batch_size=6, **asked))[::-1]
    for expected, own in zip(alone, company, strict=True):
        tokens_are_equal(own.token_ids, expected.token_ids, "in a batch")
    assert len({one.token_ids for one in alone}) > 3


def test_an_answer_does_not_depend_on_what_is_cached(pair):
    openvino, model = pair
    image = picture(21)
    first, second = (model.ask(image, "What?", max_tokens=20) for _ in range(2))
    other = model.ask(image, "And how many of them are there?", max_tokens=20)
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens == other.usage.cached_tokens == PREFIX
    assert second.timings.vision_s == 0
    tokens_are_equal(second.token_ids, first.token_ids, "from the cache")
    expected = openvino.ask(image, "And how many of them are there?", max_tokens=20)
    tokens_are_equal(other.token_ids, expected.token_ids, "the prefix from the cache")


def test_an_answer_survives_being_put_back_in_line(model, folder):
    long, places = {"max_tokens": 60, "detail": "low", "ignore_stop": True}, {"max_places": 15}
    alone = [model.describe(one, **long) for one in PICTURES[:4]]
    boxes = [model.detect(one, "cat", **places).token_ids for one in PICTURES[4:]]
    with open_model(folder, max_blocks=7) as crowded:  # room for one, shared by six
        found = [None, None]

        def detect(number):
            found[number] = crowded.detect(PICTURES[4 + number], "cat", **places).token_ids

        threads = [threading.Thread(target=detect, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        company = list(crowded.describe_many(PICTURES[:4], batch_size=4, **long))
        for thread in threads:
            thread.join()
        assert crowded._engine.worker.inspect().num_preemptions > 0  # noqa: SLF001 - nothing public counts them
    for one, other in zip(alone, company, strict=True):
        tokens_are_equal(other.token_ids, one.token_ids, "computed again")
    assert found == boxes


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_numbers_of_16_bits_stay_close(folder, pair, precision):
    expected = pair[1].score(PICTURES[1], "What is this?", "A cat sits.", detail="high")
    with open_model(folder, precision=precision) as model:
        own = model.score(PICTURES[1], "What is this?", "A cat sits.", detail="high")
        weights_bytes = model.memory.weights_bytes
    assert abs(own.mean_log_prob - expected.mean_log_prob) < 0.5
    assert (
        weights_bytes < 0.6 * pair[1].memory.weights_bytes or precision == "bf16"
    )  # fp32 where bf16 is slow


def quantised_sizes(folder, in_8_bits, in_4_bits):
    """Return the bytes by arithmetic: codes with their scales, and the device's type for other values."""
    config, value_bytes = read_config(folder), choose_device("cpu").dtype.itemsize
    total = 0
    for one in tensor_shapes_of(config.sizes()):
        is_linear = one.use is Use.LINEAR and one.name != "vision.patches.weight"
        if one.use is Use.LOOKUP:
            continue
        if is_linear and one.role in in_8_bits:
            total += one.num_values + 4 * one.shape[0]
        elif is_linear and one.role in in_4_bits:
            blocks = -(-one.num_values // 64)
            total += -(-one.num_values // 2) + blocks + 4 * -(-blocks // 256)
        elif "encoder" in one.name or "frequencies" in one.name:
            total += 4 * one.num_values
        else:
            total += value_bytes * one.num_values
    return total


@needs_bitsandbytes
@pytest.mark.parametrize(
    ("precision", "in_8_bits", "in_4_bits"),
    [
        ("int8", (Role.VISION, Role.CONNECTOR, Role.TEXT), ()),
        ("nf4", (Role.VISION, Role.CONNECTOR), (Role.TEXT,)),
    ],
)
def test_quantised_layers_really_hold_few_bits(folder, pair, precision, in_8_bits, in_4_bits):
    expected = pair[1].score(PICTURES[1], "What is this?", "A cat sits.", detail="high")
    with open_model(folder, precision=precision) as model:
        network = model._engine.held  # noqa: SLF001 - the modules are nobody's business but this test's
        layer = network.decoder.layers[0].ffn.up.weight
        assert layer.dtype == (torch.int8 if precision == "int8" else torch.uint8)
        assert network.tower.layers[0].output.weight.dtype == torch.int8
        assert network.decoder.head.weight.dtype == network.numbers.size.up.weight.dtype
        assert network.decoder.head.weight.dtype == choose_device("cpu").dtype
        assert model.memory.weights_bytes == quantised_sizes(folder, in_8_bits, in_4_bits)
        own = model.score(PICTURES[1], "What is this?", "A cat sits.", detail="high")
        boxes = model.detect(PICTURES[1], "cat", max_places=2)
    assert abs(own.mean_log_prob - expected.mean_log_prob) < 1
    assert len(boxes.data["bboxes"]) == 2


@pytest.mark.skipif(has_bitsandbytes(), reason="bitsandbytes is installed")
@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_quantising_without_its_package_is_a_sentence(folder, precision):
    with pytest.raises(MissingExtraError, match=r"needs the package .*bitsandbytes") as raised:
        open_model(folder, precision=precision)
    assert "pip install 'smallsight[torch]'" in raised.value.hint


def test_int4_is_a_sentence(folder):
    with pytest.raises(ModelNotRunnableError, match="as nf4, not as int4"):
        load_engine("moondream2", folder, SCHEMES["int4"], engine="torch")


def test_weights_of_another_network_are_named(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "model", SHAPES[0])
    change_tensors(folder, {"model.text.post_ln.bias": None})
    with pytest.raises(BrokenCheckpointError, match=r"lack 1 tensors, such as model.text.post_ln.bias"):
        open_model(folder)


def test_weights_are_counted_by_part_and_progress_is_reported(folder):
    seen = []
    engine = load_engine(
        "moondream2",
        folder,
        SCHEMES["fp32"],
        engine="torch",
        device="cpu",
        threads=1,
        on_progress=seen.append,
    )
    sizes = tensor_shapes_of(read_config(folder).sizes())
    assert sum(part.num_parameters for part in engine.parts) == sum(one.num_values for one in sizes)
    assert {part.part for part in engine.parts} == {
        "vision",
        "connector",
        "text",
        "head",
        "embeddings",
        "other",
    }
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1, abs=0.2)
    engine.close()


@needs_bitsandbytes
def test_nothing_of_what_was_read_stays_in_memory_beside_quantised_layers():
    """Layers of 16 MiB in fp32 that become 4 MiB in int8, in a process that has made one before."""

    class Source:
        def take(self, name):
            shape = (2048, 2048) if name.endswith("weight") else (2048,)
            return np.random.default_rng(0).standard_normal(shape, np.float32)

    recipe_scheme = schemes_of("torch")["int8"]
    layers = CheckpointLayers(Source(), recipe_scheme, torch.bfloat16, choose_device("cpu"))
    held = [layers.linear("first", Module.TEXT)]
    before = process_memory().private_bytes
    held += [layers.linear(f"layer.{number}", Module.TEXT) for number in range(24)]
    grown, kept = process_memory().private_bytes - before, 24 * 2048 * 2048
    assert {one.weight.dtype for one in held} == {torch.int8}
    assert grown < 1.15 * kept + (8 << 20)


QUANTISING = """
import torch
from torch import nn
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.recipes import Linears, Recipe, quantised
recipe = Recipe(Linears.INT8, torch.bfloat16)
print(quantised(nn.Linear(64, 64), recipe, choose_device("cpu")).weight.dtype)
"""


@pytest.mark.slow
@needs_bitsandbytes
def test_a_package_that_fetches_compiled_code_is_not_imported(tmp_path):
    """bitsandbytes imports ``kernels`` where it is installed, and then code from a hub."""
    (tmp_path / "kernels.py").write_text("raise SystemExit('kernels was imported')\n")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    child = subprocess.run(
        [sys.executable, "-c", QUANTISING],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout.strip().endswith("torch.int8"), child.stderr[-1000:]
