"""The decode step of smallsight-kernels: its paths against the reference, and a model that uses it."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import smallsight
from invariants import own_answers_are_likeliest, tokens_are_equal
from native_decoders import (
    RoundedWeights,
    bf16_rounded,
    make_decoder,
    needs_extension,
    tokens_of,
    usable_paths,
)
from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine
from smallsight.engine.reference.llama import LlamaReference
from smallsight.families.smolvlm.config import SmolVLMTextConfig
from smallsight.families.step_decoder import llama_decoder
from smallsight.machine.extension import find_extension
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES, Module, parse_scheme
from smallsight.settings import Limits, Settings
from tiny_smolvlm import SHAPES, make_checkpoint

BLOCK, PAST, PROMPT = 32, 70, 101
SHAPES_TO_TRY = {
    "grouped heads of 64": {"hidden": 192, "heads": 3, "kv_heads": 1, "head_dim": 64, "ffn": 256},
    "heads of 32, narrow groups": {"hidden": 96, "heads": 4, "kv_heads": 2, "head_dim": 32, "ffn": 160},
    "four heads to a key": {"hidden": 64, "heads": 4, "kv_heads": 1, "head_dim": 16, "ffn": 64},
}
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60 + 9 * seed, 3), np.uint8))
    for seed in range(4)
]


class NarrowArray(np.ndarray):
    """Float32 that stores what bfloat16 holds."""

    def __setitem__(self, where, values):
        super().__setitem__(where, bf16_rounded(values))


class RoundedReference(LlamaReference):
    """The reference with rounded inputs and cache; ``keys_and_values`` shows the cache head by head."""

    def __init__(self, config, stored):
        super().__init__(config, stored, num_blocks=64, block_tokens=BLOCK)
        self._weights = RoundedWeights(stored)
        self._keys, self._values = (one.view(NarrowArray) for one in (self._keys, self._values))

    def keys_and_values(self, layer):
        return [np.ascontiguousarray(one[layer].transpose(0, 2, 1, 3)) for one in (self._keys, self._values)]


def text_config(**sizes):
    return SmolVLMTextConfig(
        vocabulary=301, layers=2, context_tokens=256, norm_epsilon=1e-5, rope_theta=1e4, **sizes
    )


def random_weights(config, precision):
    values, scheme = np.random.default_rng(5), SCHEMES[precision]
    stored = {"text.norm.weight": values.uniform(0.5, 1.5, config.hidden).astype(np.float32)}
    attended = config.heads * config.head_dim
    sizes = {
        "attention": (attended + 2 * config.kv_heads * config.head_dim, config.hidden),
        "output": (config.hidden, attended),
        "ffn_gate_up": (2 * config.ffn, config.hidden),
        "ffn_down": (config.hidden, config.ffn),
    }
    for layer in range(config.layers):
        for name, (rows, columns) in sizes.items():
            matrix = values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
            stored[f"text.layers.{layer}.{name}.weight"] = scheme.store(matrix, Module.TEXT)
        for name in ("attention_norm", "ffn_norm"):
            stored[f"text.layers.{layer}.{name}.weight"] = values.uniform(0.5, 1.5, config.hidden).astype(
                "f4"
            )
    head = values.standard_normal((config.vocabulary, config.hidden), np.float32)
    stored["head.weight"] = scheme.store(head / np.float32(config.hidden**0.5), Module.HEAD)
    return stored


@pytest.fixture(
    scope="module", params=[(name, one) for name in SHAPES_TO_TRY for one in ("int8", "int4")], ids=str
)
def computed(request):
    """A decoder, a filled cache, 16 next tokens, and the reference's logits for them."""
    name, precision = request.param
    config = text_config(**SHAPES_TO_TRY[name])
    stored = random_weights(config, precision)
    reference = RoundedReference(config, stored)
    values = np.random.default_rng(8)
    lengths = [PAST - 3 * row for row in range(16)]
    tables = [tuple(range(row * 3, row * 3 + 3)) for row in range(16)]
    for length, table in zip(lengths, tables, strict=True):
        prompt_TD = values.standard_normal((length, config.hidden)).astype(np.float32)
        reference.run([StepInput(prompt_TD, 0, table, wants_logits=False)])
    caches = [reference.keys_and_values(layer) for layer in range(config.layers)]
    steps = [
        StepInput(values.standard_normal((1, config.hidden)).astype(np.float32), length, table, True)
        for length, table in zip(lengths, tables, strict=True)
    ]
    expected_RV = reference.run(steps).logits_RV
    return llama_decoder(config, stored), caches, steps, expected_RV


@needs_extension
def test_every_path_has_the_same_bits_alone_and_together_on_any_threads(computed):
    model, caches, steps, expected_RV = computed
    whole_RV = make_decoder(model, caches, path="plain")[0](steps)
    # A value between two codes may be rounded up by one and down by the other.
    np.testing.assert_allclose(whole_RV, expected_RV, atol=0.03 * np.abs(expected_RV).max())
    assert np.median(np.abs(whole_RV - expected_RV)) < 2e-3 * np.abs(expected_RV).max()
    for path in usable_paths():
        for threads in (1, 2, 3):
            decode, _ = make_decoder(model, caches, path=path, threads=threads)
            np.testing.assert_array_equal(decode(steps), whole_RV, err_msg=f"{path}, {threads} threads")
        for rows in range(1, 16):
            np.testing.assert_array_equal(
                decode(steps[-rows:]), whole_RV[-rows:], err_msg=f"{path}, {rows} rows"
            )


@needs_extension
def test_a_prompt_has_the_same_bits_in_any_pieces_and_token_by_token(computed):
    model, caches, steps, _ = computed
    values, used = np.random.default_rng(9), (60, 3, 41, 17)
    prompt_TD = values.standard_normal((PROMPT, model.sizes.hidden)).astype(np.float32)

    def piece(begin, end):
        return StepInput(prompt_TD[begin:end], begin, used, wants_logits=end == PROMPT)

    compute, expected = make_decoder(model, caches, path="plain")
    for at in range(PROMPT):
        expected_RV = compute([piece(at, at + 1)])
    for path in usable_paths():
        for cuts, threads in (((), 3), ((1, 17, 50), 1), ((33,), 2)):
            compute, found = make_decoder(model, caches, path=path, threads=threads)
            for begin, end in itertools.pairwise((0, *cuts, PROMPT)):
                found_RV = compute([steps[4], piece(begin, end), steps[5]])
            what = f"{path}, cut at {cuts}"
            np.testing.assert_array_equal(found_RV[-2], expected_RV[0], err_msg=what)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(
                    tokens_of(one, used, PROMPT), tokens_of(other, used, PROMPT), err_msg=what
                )


@needs_extension
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_code_that_has_no_opposite_is_refused_in_8_bits(precision):
    config = text_config(**SHAPES_TO_TRY["heads of 32, narrow groups"])
    stored = random_weights(config, precision)
    matrix = stored["text.layers.1.output.weight"]
    codes = matrix.codes.copy()
    codes[3, 1, 2] = -128 if precision == "int8" else 0x88  # -8 twice
    stored["text.layers.1.output.weight"] = replace(matrix, codes=codes)
    caches = [[np.zeros((1, config.kv_heads, BLOCK, config.head_dim), np.float32)] * 2] * config.layers
    if precision == "int4":
        make_decoder(llama_decoder(config, stored), caches, path="plain")
        return
    with pytest.raises(ValueError, match="between -127 and 127"):
        make_decoder(llama_decoder(config, stored), caches, path="plain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", SHAPES[0])


def open_engine(folder, precision="int8", threads=1, **given):
    options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64, uses_kernels=True, **given)
    return load_engine("smolvlm", folder, parse_scheme(precision), threads=threads, options=options)


def open_model(folder, precision="int8"):
    return VisionLanguageModel(
        open_engine(folder, precision), name="tiny", precision=precision, limits=Limits()
    )


@needs_extension
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_answers_do_not_depend_on_company_preemption_or_threads(folder, precision):
    asked = {"max_tokens": 80, "detail": "low", "ignore_stop": True}
    with open_model(folder, precision) as model:
        alone = [model.describe(one, **asked).token_ids for one in PICTURES]
        together = [one.token_ids for one in model.describe_many(PICTURES, batch_size=4, **asked)]
        own_answers_are_likeliest(model, PICTURES, max_tokens=8, ignore_stop=True)
    engine = open_engine(folder, precision, threads=2, max_blocks=6)  # room for one, shared by four
    with VisionLanguageModel(engine, name="tiny", precision=precision, limits=Limits()) as model:
        for _ in range(20):  # on a busy machine one may end before the next is prepared
            scarce = [one.token_ids for one in model.describe_many(PICTURES, batch_size=4, **asked)]
            if was_preempted := engine.worker.inspect().num_preemptions > 0:
                break
        assert was_preempted
    for one, other, third in zip(alone, together, scarce, strict=True):
        tokens_are_equal(other, one, f"{precision}: together")
        tokens_are_equal(third, one, f"{precision}: preempted, on two threads")


def test_without_the_extension_openvino_decodes_and_the_log_says_why(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "smallsight_kernels", None)
    find_extension.cache_clear()
    try:
        with open_model(folder) as model:
            assert model.describe(PICTURES[0], max_tokens=4, ignore_stop=True).usage.completion_tokens == 4
    finally:
        find_extension.cache_clear()
    assert "smallsight-kernels is not installed" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("precision", "reason"), [("bf16", "not integers"), ("int8; arithmetic=f32", "in f32")]
)
def test_a_scheme_that_the_extension_does_not_compute_is_left_to_openvino(folder, precision, reason, capsys):
    if find_extension().module is None:
        reason = "not installed"
    with open_model(folder, precision) as model:
        assert model.describe(PICTURES[0], max_tokens=4, ignore_stop=True).token_ids
    assert reason in "".join(capsys.readouterr())


def test_the_setting_chooses_the_extension(tmp_path, capsys):
    settings = Settings(home=tmp_path, kernels=True, threads=1)
    with smallsight.load("Smallsight-tiny", precision="int8", settings=settings) as model:
        assert model.ask([], "Hello", max_tokens=3, ignore_stop=True).usage.completion_tokens == 3
    expected = find_extension().reason or "kernels_used"
    assert expected in "".join(capsys.readouterr())
