"""Networks that are read tensor by tensor are those of transformers' own ``from_pretrained``, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForImageTextToText, Florence2ForConditionalGeneration

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import TORCH, load_engine
from smallsight.engine.torch import florence2, smolvlm
from smallsight.engine.torch.checkpoint_tensors import CheckpointTensors
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.florence2_network import MOMENTS
from smallsight.engine.torch.packages import has_bitsandbytes
from smallsight.engine.torch.recipes import Linears, Recipe, prepare_bitsandbytes
from smallsight.errors import BrokenCheckpointError
from smallsight.quant.scheme import TORCH_SCHEMES
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2, write_under_original_names
from tiny_smolvlm import SHAPES, make_checkpoint

needs_bitsandbytes = pytest.mark.skipif(not has_bitsandbytes(), reason="needs bitsandbytes and accelerate")
PRECISIONS = [
    "fp32",
    "bf16",
    "fp16",
    pytest.param("int8", marks=needs_bitsandbytes),
    pytest.param("nf4", marks=needs_bitsandbytes),
]
FORMS = {"int8": Linears.INT8, "nf4": Linears.NF4}
SMALL = EngineOptions(cache_bytes=4 << 20)


def load(family, folder, precision, **options):
    """Return an engine; its network is ``held``."""
    scheme = TORCH_SCHEMES[precision]
    return load_engine(
        family, folder, scheme, engine=TORCH, device="cpu", threads=1, options=SMALL, **options
    )


def expected_network(model_class, folder, precision, skipped):
    """Load with transformers alone."""
    dtype = {"fp32": torch.float32, "fp16": torch.float16}.get(precision, choose_device("cpu").dtype)
    options = {"dtype": dtype}
    if precision in FORMS:
        prepare_bitsandbytes()
        options["quantization_config"] = Recipe(FORMS[precision], dtype).settings(skipped)
        options["device_map"] = {"": "cpu"}
    return model_class.from_pretrained(folder, **options)


def bits(network):
    """Return all parameters, buffers and statistics of quantised weights, by name."""
    state = {**network.state_dict(), **dict(network.named_buffers())}
    if MOMENTS in state:  # ours has the row of a single picture only
        state[MOMENTS] = state[MOMENTS][:1]
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def are_the_same(own, expected):
    found, wanted = bits(own), bits(expected)
    assert found.keys() == wanted.keys()
    assert {name: value.dtype for name, value in found.items()} == {
        name: value.dtype for name, value in wanted.items()
    }
    differing = [name for name in found if not torch.equal(found[name], wanted[name])]
    assert not differing
    kinds = [{name: type(module) for name, module in one.named_modules()} for one in (own, expected)]
    assert kinds[0] == kinds[1]
    assert not own.training


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[4]], ids=lambda one: one.name)
def test_a_smolvlm_is_what_transformers_loads(shape, precision, tmp_path):
    """Untied and tied embeddings, one file and several."""
    folder = make_checkpoint(tmp_path / "model", shape)
    engine = load("smolvlm", folder, precision)
    expected = expected_network(AutoModelForImageTextToText, folder, precision, smolvlm.SKIPPED)
    are_the_same(engine.held, expected)
    embeddings = engine.held.model.text_model.embed_tokens.weight
    assert (engine.held.lm_head.weight is embeddings) == shape.is_tied
    engine.close()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_florence2_is_what_transformers_loads_under_either_set_of_names(precision, tmp_path):
    shape = FLORENCE2[1]
    folder = write_tiny_florence2(tmp_path / "native", shape)
    expected = expected_network(Florence2ForConditionalGeneration, folder, precision, florence2.SKIPPED)
    original = write_under_original_names(folder, tmp_path / "original", shape.image_px)
    for one in (folder, original):
        engine = load("florence2", one, precision)
        are_the_same(engine.held, expected)
        assert engine.held.lm_head.weight is engine.held.model.language_model.shared.weight
        engine.close()


def test_a_head_that_was_trained_alone_is_kept_beside_the_table_it_was_tied_to(tmp_path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[2])
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.text_model.embed_tokens.weight"] * 2
    save_file(tensors, folder / "model.safetensors")
    engine = load("smolvlm", folder, "fp32")
    assert torch.equal(engine.held.lm_head.weight, engine.held.model.text_model.embed_tokens.weight * 2)
    engine.close()


@needs_bitsandbytes
@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_a_quantised_network_cannot_be_moved_to_another_type(precision, tmp_path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    engine = load("smolvlm", folder, precision)
    with pytest.raises(ValueError, match="cast a bitsandbytes model"):
        engine.held.to(torch.float16)
    engine.close()


@needs_bitsandbytes
@pytest.mark.parametrize("shape", [(768, 1536), (577, 1153)], ids=["whole-pieces", "odd"])
def test_quantising_in_pieces_gives_the_bits_of_the_whole(shape):
    prepare_bitsandbytes()
    from bitsandbytes import functional

    torch.manual_seed(0)
    weight = torch.randn(shape).to(torch.bfloat16)
    codes, state = functional.quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
    whole_codes, absmax = torch.ops.bitsandbytes.quantize_4bit.default(weight, 64, "nf4", torch.uint8)
    assert torch.equal(codes, whole_codes)
    nested, statistics = functional.quantize_blockwise(absmax - absmax.mean(), blocksize=256)
    assert torch.equal(state.absmax, nested)
    assert torch.equal(state.state2.absmax, statistics.absmax)
    assert torch.equal(state.offset, absmax.mean())
    assert (state.shape, state.dtype) == (weight.shape, weight.dtype)
    codes, scales, outliers = functional.int8_vectorwise_quant(weight.half())
    expected = torch.ops.bitsandbytes.int8_vectorwise_quant.default(weight.half(), 0.0)
    assert torch.equal(codes, expected[0])
    assert torch.equal(scales, expected[1])
    assert outliers is expected[2] is None


def test_progress_is_reported_while_tensors_are_read(tmp_path):
    folder, seen = make_checkpoint(tmp_path / "model", SHAPES[0]), []
    load("smolvlm", folder, "fp32", on_progress=seen.append).close()
    assert len(seen) > 20
    assert seen == sorted(seen)
    assert seen[-1] == 1


@pytest.mark.parametrize("name", ["model.connector.modality_projection.proj.weight", "lm_head.weight"])
def test_a_tensor_that_is_not_finite_is_named(name, tmp_path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = np.full_like(tensors[name], np.inf)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BrokenCheckpointError, match=f"Tensor {name} .* not finite"):
        load("smolvlm", folder, "fp32")


def test_a_file_that_was_cut_off_meanwhile_is_named(tmp_path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    (path,) = find_weight_files(folder)
    tensors = CheckpointTensors([path]).tensors
    last = max(tensors.values(), key=lambda one: one.stored.end)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenCheckpointError, match=f"ends within tensor {last.stored.name}"):
        last[...]
    path.unlink()
    with pytest.raises(BrokenCheckpointError, match="cannot be read"):
        last[...]


def test_equal_values_of_tensors_are_recognised_and_a_number_that_is_none_never(tmp_path):
    path = tmp_path / "model.safetensors"
    values = np.arange(6, dtype=np.float32)
    others = {"other": values + 1, "half": values.astype(np.float16), "nan": values * np.nan}
    save_file({"one": values, "same": values.copy(), **others}, path)
    tensors = CheckpointTensors([path]).tensors
    assert tensors["one"].has_values_of(tensors["same"])
    assert not any(tensors["one"].has_values_of(tensors[name]) for name in others)
    assert not tensors["nan"].has_values_of(replace(tensors["nan"]))
    assert torch.equal(replace(tensors["one"])[...], torch.arange(6.0))
