"""The parts of the torch engine alone: devices, memory that runs out, paged attention."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.torch.device import Device, choose_device, release_caches
from smallsight.engine.torch.measured_recipes import MeasuredRecipes, measured_recipes, measured_warning
from smallsight.engine.torch.memory_guard import reporting_memory, wanted_bytes
from smallsight.engine.torch.packages import (
    FAMILIES,
    require_accelerate,
    require_bitsandbytes,
    require_torch,
)
from smallsight.engine.torch.paged_attention import PagedCache, PagedStep, attend
from smallsight.engine.torch.recipes import recipe_of
from smallsight.errors import (
    ArgumentError,
    MissingExtraError,
    ModelNotRunnableError,
    OutOfResourcesError,
)
from smallsight.machine.memory import give_memory_back
from smallsight.quant.scheme import TORCH_SCHEMES, parse_scheme

HAS_CUDA = torch.cuda.is_available()


def test_a_device_comes_with_the_reason():
    automatic, cpu = choose_device(), choose_device("cpu")
    assert automatic.kind == ("cuda" if HAS_CUDA else "mps" if torch.backends.mps.is_available() else "cpu")
    assert "automatically" in automatic.reason
    assert "as requested" in cpu.reason
    assert cpu.is_cpu
    assert recipe_of(TORCH_SCHEMES["fp32"], cpu).dtype is torch.float32
    assert recipe_of(TORCH_SCHEMES["bf16"], cpu).dtype is cpu.dtype


@pytest.mark.parametrize("name", ["tpu", "cuda:99", *([] if HAS_CUDA else ["cuda"])])
def test_a_device_that_is_not_there_is_a_sentence(name):
    with pytest.raises(ArgumentError, match="device"):
        choose_device(name)


def test_a_scheme_by_module_is_refused():
    with pytest.raises(ModelNotRunnableError, match="cannot load the scheme 'int8; text=int8-rows'"):
        recipe_of(parse_scheme("int8; text=int8-rows"), choose_device("cpu"))


@pytest.mark.parametrize(
    ("require", "missing", "sentence"),
    [
        (require_torch, "transformers", "The torch engine needs the package transformers"),
        (
            require_bitsandbytes,
            "bitsandbytes",
            "Quantising with the torch engine needs the package bitsandbytes",
        ),
        (require_accelerate, "accelerate", "The torch engine on a GPU needs the package accelerate"),
    ],
)
def test_a_missing_package_is_a_sentence_with_the_command(require, missing, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=sentence) as raised:
        require()
    assert raised.value.hint == "pip install 'smallsight[torch]'."


def test_a_gpu_returns_its_caches_when_memory_is_given_back(monkeypatch):
    """No GPU is here: what torch is asked for is noted."""
    asked = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("cuda"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: asked.append("mps"))
    for name in ("cuda:1", "mps", "cpu"):
        release_caches(Device(name, torch.float16, "for a test"))
    assert asked == ["cuda", "mps"]


@pytest.mark.parametrize(
    "name", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not HAS_CUDA, reason="no GPU"))]
)
def test_torch_running_out_of_memory_is_reported_and_leaves_nothing(name):
    device = choose_device(name)
    held = []

    def allocate():
        held.append(torch.ones(1 << 20, device=device.name))
        return torch.empty(2**46, device=device.name)

    with (
        pytest.raises(
            OutOfResourcesError, match=r"while testing. It needed 268,435,456 MiB more; [\d,]+ MiB are"
        ),
        reporting_memory(device, "testing"),
    ):
        allocate()
    held.clear()
    give_memory_back()
    assert torch.ones(2, device=device.name).sum() == 2


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), reporting_memory(choose_device("cpu"), "testing"):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79 GiB", 5 << 29),
        ("you tried to allocate 8796093022208 bytes. Error code 12", 8796093022208),
        ("MPS backend out of memory. Tried to allocate 256.00 MB on private pool.", 256 << 20),
        ("Unable to allocate 1.00 MiB for an array with shape (262144,)", 1 << 20),
        ("something else", None),
    ],
)
def test_how_much_was_needed_is_read_from_the_message(message, expected):
    assert wanted_bytes(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "HIP out of memory. Tried to allocate 20.00 MiB.",
        "std::bad_alloc",
    ],
)
def test_other_libraries_report_memory_in_other_words(message):
    with pytest.raises(OutOfResourcesError), reporting_memory(choose_device("cpu"), "testing", 5 << 20):
        raise RuntimeError(message)


def test_an_error_of_onednn_without_a_reason_means_memory_only_where_little_is_left():
    """torch 2.13 loses oneDNN's status: "could not create a primitive" is all that is left of it."""
    with pytest.raises(RuntimeError, match="a primitive"), reporting_memory(choose_device("cpu"), "testing"):
        raise RuntimeError("could not create a primitive")


def test_a_slower_recipe_comes_with_a_warning_and_its_numbers():
    measured = MeasuredRecipes(
        model="some-model",
        family="smolvlm",
        device="cpu",
        processor="a processor, 2 cores",
        measured_on="2026-11-29",
        versions={},
        ways={
            "torch bf16": {"answer_s": 2.0, "weights_mib": 100},
            "torch int8": {"answer_s": 3.0, "weights_mib": 110},
            "torch nf4": {"answer_s": 1.5, "weights_mib": 40},
            "openvino int8": {"answer_s": 0.5},
        },
    )
    assert measured.warning("int8") == (
        "In the torch engine int8 took 1.50 times as long as bf16 for an answer (3.00 and 2.00 s) and had "
        "weights 1.10 times as large as those in bf16 (110 and 100 MiB); measured with some-model on a CPU, "
        "a processor, 2 cores, 2026-11-29. The OpenVINO engine took 0.50 s in int8."
    )
    assert measured.warning("nf4") is None


def test_every_measured_recipe_has_its_base():
    for one in measured_recipes():
        assert "torch bf16" in one.ways
        assert one.family in FAMILIES
    assert "times as long as bf16" in measured_warning("smolvlm", "int8", "cpu")
    assert measured_warning("smolvlm", "int8", "cuda") is None


class Layer:
    layer_idx = 1


def small_cache(kv_heads, head_dim, device="cpu"):
    return PagedCache(
        layers=2,
        num_blocks=16,
        block_tokens=4,
        kv_heads=kv_heads,
        head_dim=head_dim,
        dtype=torch.float32,
        device=device,
    )


def test_pieces_of_any_length_attend_to_their_own_blocks():
    """A chunk with a history, a prefix that sees itself, two sequences that decode."""
    torch.manual_seed(0)
    heads, kv_heads, head_dim = 6, 2, 8
    cache = small_cache(kv_heads, head_dim)
    tables = {"chunk": (3, 7, 1), "prefix": (9, 2), "one": (0, 12, 5), "other": (4,)}
    known = {"chunk": 5, "prefix": 0, "one": 9, "other": 2}
    new = {"chunk": 6, "prefix": 7, "one": 1, "other": 1}
    prefixes = {"prefix": 6}
    tokens = {name: torch.randn(3, known[name] + new[name], heads, head_dim) for name in tables}

    def step_of(name, begin, end):
        empty = np.zeros((end - begin, 1), np.float32)
        return StepInput(empty, begin, tables[name], wants_logits=True, prefix_tokens=prefixes.get(name, 0))

    def run(ranges):
        steps = [step_of(name, begin, end) for name, begin, end in ranges]
        query, key, value = (
            torch.cat([tokens[name][kind, begin:end] for name, begin, end in ranges]).transpose(0, 1)[None]
            for kind in range(3)
        )
        found, _ = attend(
            Layer(),
            query,
            key[:, :kv_heads],
            value[:, :kv_heads],
            None,
            paged=PagedStep.plan(steps, cache),
            scaling=0.3,
        )
        return found[0]

    run([(name, 0, known[name]) for name in tables if known[name]])
    found = run([(name, known[name], known[name] + new[name]) for name in tables]).split(list(new.values()))
    for name, got in zip(tables, found, strict=True):
        query, key, value = (one.transpose(0, 1) for one in tokens[name])
        length = query.shape[1]
        last = torch.arange(length).clamp(min=prefixes.get(name, 0) - 1)
        mask = torch.arange(length) <= last[:, None]
        key, value = (one[:kv_heads].repeat_interleave(heads // kv_heads, 0) for one in (key, value))
        expected = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3)
        torch.testing.assert_close(got, expected.transpose(0, 1)[known[name] :])
    cache.copy_block(3, 15)
    assert torch.equal(cache.keys[1][15], cache.keys[1][3])


def test_layers_on_two_devices_have_their_own_cache_and_step():
    """The second is torch's device without memory: all is where it belongs, but has no numbers."""
    cache = small_cache(1, 8, ["cpu", "meta"])
    assert [one.device.type for one in (*cache.keys, *cache.values)] == ["cpu", "meta"] * 2
    step = StepInput(np.zeros((3, 1), np.float32), 0, (2,), wants_logits=True)
    planned = PagedStep.plan([step], cache)
    for layer, device in ((0, "cpu"), (1, "meta")):
        module = Layer()
        module.layer_idx = layer
        query, key, value = (torch.ones(1, heads, 3, 8, device=device) for heads in (2, 1, 1))
        found, _ = attend(module, query, key, value, None, paged=planned)
        assert (found.device.type, found.shape) == (device, (1, 3, 2, 8))
    cache.copy_block(2, 5)
    assert torch.equal(cache.keys[0][5, :3], torch.ones(3, 1, 8))
