"""A model whose layers are on several devices: where they go, the same tokens, a check of the first answer.

The processor and the checkpoint's files stand for two GPUs: the network is divided, and accelerate's hooks
move inputs and weights.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import smallsight
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.moondream2_placement import module_sizes_of
from smallsight.engine.torch.packages import has_bitsandbytes
from smallsight.engine.torch.placement import module_sizes, place, split
from smallsight.engine.torch.recipes import Linears, Recipe
from smallsight.engine.torch.smolvlm import LAYERS, MODULES, SKIPPED
from smallsight.errors import ArgumentError, ModelNotRunnableError
from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.shapes import tensor_shapes_of
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES, TORCH_SCHEMES
from smallsight.settings import Limits
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES, make_checkpoint

SHIPPED = Path(smallsight.__file__).parent / "shipped" / "Smallsight-tiny"
PICTURES = sorted((Path(__file__).parents[2] / "examples" / "stickers").glob("*.png"))[:3]
TWO = "cpu:0+cpu:1"
DIVIDED = "cpu+disk"
SMALL = EngineOptions(cache_bytes=4 << 20)
needs_accelerate = pytest.mark.skipif(find_spec("accelerate") is None, reason="needs accelerate")


def load(folder, family="smolvlm", device=DIVIDED):
    return VisionLanguageModel.load(
        folder, family=family, name="tiny", precision="fp32", engine="torch", device=device, threads=1
    )


def test_modules_are_divided_in_order_and_in_proportion_to_free_memory():
    sizes = {f"layers.{number}": 10 for number in range(8)} | {"head": 20}
    assert list(split(sizes, {"a": 100, "b": 100}).values()) == ["a"] * 5 + ["b"] * 4
    assert list(split(sizes, {"a": 300, "b": 100}).values()) == ["a"] * 8 + ["b"]
    assert set(split({"all": 10}, {"a": 1, "b": 1, "c": 1}).values()) == {"b"}


def test_several_devices_are_used_where_one_is_too_small_or_where_that_is_wanted():
    cpu = choose_device("cpu")
    free = cpu.free_bytes()
    two = replace(cpu, others=("cpu:1",))
    assert place({"one": 1, "other": 1}, two, 0) is None
    assert place({"one": free, "other": free}, cpu, 0) is None
    assert place({"one": free, "other": free}, two, 0).devices == ("cpu", "cpu:1")
    assert place({"one": 1, "other": 1}, two, free).devices == ("cpu", "cpu:1")
    assert place({"one": 1, "other": 1}, choose_device(TWO), 0).devices == ("cpu:0", "cpu:1")
    assert choose_device(TWO).reason == choose_device("cpu").reason


@pytest.mark.parametrize("name", ["cpu+mps", "auto+cpu", "cpu:0+"])
def test_devices_that_cannot_share_are_a_sentence(name):
    with pytest.raises(ArgumentError):
        choose_device(name)


def test_sizes_are_those_of_the_recipe(tmp_path):
    from transformers import AutoModelForImageTextToText

    folder = make_checkpoint(tmp_path / "model", SHAPES[0])

    def sizes(linears):
        recipe = Recipe(linears, torch.bfloat16)
        return module_sizes(AutoModelForImageTextToText, folder, recipe, MODULES, SKIPPED)

    plain, in_8_bits = sizes(Linears.PLAIN), sizes(Linears.INT8)
    network = AutoModelForImageTextToText.from_pretrained(folder)
    layer = network.get_submodule(f"{LAYERS}.0")
    assert plain[f"{LAYERS}.0"] == 2 * sum(one.numel() for one in layer.parameters())
    assert 0.5 * plain[f"{LAYERS}.0"] <= in_8_bits[f"{LAYERS}.0"] < 0.6 * plain[f"{LAYERS}.0"]
    assert plain["lm_head"] == in_8_bits["lm_head"]


@needs_accelerate
def test_a_divided_model_says_what_it_says_on_one_device():
    said = {}
    for device in ("cpu", DIVIDED):
        with load(SHIPPED, device=device) as model:
            said[device] = [one.token_ids for one in model.describe_many(PICTURES, max_tokens=30)]
            network = model._engine.held  # noqa: SLF001 - nothing public says where a layer is
            assert model._engine.devices == (() if device == "cpu" else ("cpu", "disk"))  # noqa: SLF001
    assert set(network.hf_device_map.values()) == {"cpu", "disk"}
    assert said[DIVIDED] == said["cpu"]


@needs_accelerate
def test_a_first_answer_of_gibberish_is_refused(tmp_path):
    """Random weights stand for weights that were damaged on their way."""
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    with pytest.raises(ModelNotRunnableError, match=r"on cpu and disk answers gibberish \(.+\)") as raised:
        load(folder)
    assert "device='cpu'" in raised.value.hint
    load(folder, device="cpu").close()


def test_a_moondream2_on_two_devices_says_what_it_says_on_one(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "tiny", MOONDREAM2[0])
    said, devices = [], []
    for device in ("cpu", TWO):
        engine = load_engine(
            "moondream2", folder, SCHEMES["fp32"], engine="torch", device=device, threads=1, options=SMALL
        )
        devices.append(engine.devices)
        with VisionLanguageModel(engine, name="tiny", precision="fp32", limits=Limits()) as model:
            answers = [*model.describe_many(PICTURES, max_tokens=20), model.detect(PICTURES[0], "a cat")]
        said.append([one.token_ids for one in answers])
    assert devices == [(), ("cpu:0", "cpu:1")]
    assert said[0] == said[1]
    with pytest.raises(ModelNotRunnableError, match=r"on cpu:0 and cpu:1 answers gibberish"):
        load(folder, "moondream2", device=TWO)


def test_the_sizes_of_a_moondream2_are_those_that_its_engine_counts(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "tiny", MOONDREAM2[0])
    tensors = tensor_shapes_of(read_config(folder).sizes())
    sizes = module_sizes_of(tensors, SCHEMES["fp32"], torch.float32)
    assert [*sizes][:: len(sizes) - 1] == ["tower", "head"]
    with load(folder, "moondream2", device="cpu") as model:
        assert sum(sizes.values()) == model.memory.weights_bytes


def test_what_cannot_be_divided_is_a_sentence(tmp_path):
    moondream = write_tiny_moondream2(tmp_path / "moondream2", MOONDREAM2[0])
    with pytest.raises(ArgumentError, match="cannot leave weights in its files"):
        load(moondream, "moondream2", device=DIVIDED)
    if has_bitsandbytes():
        smolvlm = make_checkpoint(tmp_path / "smolvlm", SHAPES[0])
        with pytest.raises(ArgumentError, match="in int8 cannot leave weights in its files"):
            load_engine("smolvlm", smolvlm, TORCH_SCHEMES["int8"], engine="torch", device=DIVIDED)
    with pytest.raises(ModelNotRunnableError, match="several devices cannot be compiled"):
        load_engine("moondream2", moondream, SCHEMES["fp32"], engine="torch", device=TWO, compile=True)
    florence = write_tiny_florence2(tmp_path / "florence2", FLORENCE2[1])
    with pytest.raises(ArgumentError, match="on one device"):
        load(florence, "florence2", device=TWO)
