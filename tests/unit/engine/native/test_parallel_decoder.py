"""Decoders like moondream2's in smallsight-kernels: against plain numpy, and a whole model."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

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
from smallsight.engine.reference.products import softmax
from smallsight.families.moondream2.config import Moondream2TextConfig
from smallsight.families.moondream2.step_decoder import step_decoder
from smallsight.families.moondream2.text_graph import NORM_EPSILON, ROPE_THETA
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES, Module
from smallsight.settings import Limits
from tiny_moondream2 import SHAPES, write_tiny_moondream2

PREFIX, PROMPT, LAYERS = 41, 77, 2
TEXT = Moondream2TextConfig(vocabulary=301, hidden=64, layers=LAYERS, heads=2, context_tokens=128)
TABLE = (5, 0, 3, 1)
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60 + 40 * seed, 3), np.uint8))
    for seed in range(4)
]


def random_weights(precision):
    """Return the names of ``store_text`` with values that keep vectors about as long as they are."""
    values, scheme = np.random.default_rng(3), SCHEMES[precision]
    stored = {}

    def linear(name, rows, columns, module=Module.TEXT):
        matrix = values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
        stored[f"{name}.weight"] = scheme.store(matrix, module)
        stored[f"{name}.bias"] = values.uniform(-0.3, 0.3, rows).astype(np.float32)

    def norm(name):
        stored[f"{name}.weight"] = values.uniform(0.5, 1.5, TEXT.hidden).astype(np.float32)
        stored[f"{name}.bias"] = values.uniform(-0.3, 0.3, TEXT.hidden).astype(np.float32)

    for layer in range(LAYERS):
        name = f"text.layers.{layer}"
        norm(f"{name}.norm")
        linear(f"{name}.query_key_value", 3 * TEXT.hidden, TEXT.hidden)
        linear(f"{name}.output", TEXT.hidden, TEXT.hidden)
        linear(f"{name}.ffn_up", TEXT.ffn, TEXT.hidden)
        linear(f"{name}.ffn_down", TEXT.hidden, TEXT.ffn)
    norm("text.norm")
    linear("head", TEXT.vocabulary, TEXT.hidden, Module.HEAD)
    return stored


class PhiReference:
    """Computes a whole sequence in numpy, with rounded inputs of products."""

    def __init__(self, stored):
        self._weights = RoundedWeights(stored)

    def logits(self, hidden_TD, prefix):
        for layer in range(LAYERS):
            name = f"text.layers.{layer}"
            normed = self._norm(f"{name}.norm", hidden_TD)
            attended = self._attend(self._weights.linear(f"{name}.query_key_value", normed), prefix)
            up = self._weights.linear(f"{name}.ffn_up", normed)
            widened = 0.5 * up * (1 + np.tanh((2 / np.pi) ** 0.5 * (up + 0.044715 * up**3)))
            hidden_TD = hidden_TD + self._weights.linear(f"{name}.output", attended)
            hidden_TD = hidden_TD + self._weights.linear(f"{name}.ffn_down", widened)
        return self._weights.linear("head", self._norm("text.norm", hidden_TD))

    def _attend(self, joined, prefix):
        query, key, value = joined.reshape(len(joined), 3, TEXT.heads, TEXT.head_dim).transpose(1, 2, 0, 3)
        key, value = bf16_rounded(self._rotated(key)), bf16_rounded(value)
        scores = self._rotated(query) @ key.transpose(0, 2, 1) * TEXT.head_dim**-0.5
        positions = np.arange(len(joined))
        sees = positions[None] <= positions[:, None]
        sees[:prefix, :prefix] = True
        mixed = softmax(np.where(sees, scores, -np.inf).astype(np.float32)) @ value
        return mixed.transpose(1, 0, 2).reshape(len(joined), -1)

    def _rotated(self, heads_HTE):
        half = TEXT.rotated_dims // 2
        frequencies = ROPE_THETA ** -(np.arange(half) / half)
        angles = np.arange(heads_HTE.shape[1])[:, None] * frequencies
        first, second = heads_HTE[..., :half], heads_HTE[..., half : 2 * half]
        turned = (
            first * np.cos(angles) - second * np.sin(angles),
            second * np.cos(angles) + first * np.sin(angles),
        )
        return np.concatenate([*turned, heads_HTE[..., 2 * half :]], axis=2)

    def _norm(self, name, rows):
        centred = rows - rows.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + NORM_EPSILON)
        return scaled * self._weights.vector(f"{name}.weight") + self._weights.vector(f"{name}.bias")


@pytest.fixture(scope="module", params=["int8", "int4"])
def made(request):
    """A decoder, its reference, and the embeddings of a prompt."""
    stored = random_weights(request.param)
    model = step_decoder(SimpleNamespace(text=TEXT, prefix_tokens=PREFIX), stored)
    prompt_TD = np.random.default_rng(4).standard_normal((PROMPT, TEXT.hidden)).astype(np.float32)
    return model, PhiReference(stored), prompt_TD


@needs_extension
@pytest.mark.parametrize("prefix", [PREFIX, 0])
def test_a_picture_and_its_question_are_computed_alike_on_every_path(made, prefix):
    model, reference, prompt_TD = made
    empty = [[np.zeros((6, TEXT.heads, 32, TEXT.head_dim), np.float32)] * 2] * LAYERS
    expected_V = reference.logits(prompt_TD, prefix)[-1]

    def run(compute, cuts):
        return [
            compute([StepInput(prompt_TD[begin:end], begin, TABLE, wants_logits=True, prefix_tokens=prefix)])
            for begin, end in itertools.pairwise((0, *cuts, PROMPT))
        ][-1][0]

    compute, caches = make_decoder(model, empty, path="plain")
    plain_V = run(compute, range(PREFIX, PROMPT))
    np.testing.assert_allclose(plain_V, expected_V, atol=0.03 * np.abs(expected_V).max())
    assert np.median(np.abs(plain_V - expected_V)) < 2e-3 * np.abs(expected_V).max()
    for path in usable_paths():
        for cuts, threads in (((PREFIX,), 2), ((PREFIX, 60), 3), ((), 1)):
            compute, found = make_decoder(model, empty, path=path, threads=threads)
            what = f"{path}, cut at {cuts}"
            np.testing.assert_array_equal(run(compute, cuts), plain_V, err_msg=what)
            for one, other in zip(found, caches, strict=True):
                np.testing.assert_array_equal(
                    tokens_of(one, TABLE, PROMPT), tokens_of(other, TABLE, PROMPT), err_msg=what
                )


@needs_extension
def test_a_prefix_that_is_not_in_one_piece_is_refused(made):
    model, _, prompt_TD = made
    caches = [[np.zeros((6, TEXT.heads, 32, TEXT.head_dim), np.float32)] * 2] * LAYERS
    compute, _ = make_decoder(model, caches, path="plain")
    with pytest.raises(ValueError, match="prefix must be in one piece"):
        compute([StepInput(prompt_TD[:30], 0, TABLE, wants_logits=True, prefix_tokens=PREFIX)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])


def open_model(folder, precision, threads=1, **given):
    options = EngineOptions(cache_bytes=4 << 20, uses_kernels=True, **given)
    engine = load_engine("moondream2", folder, SCHEMES[precision], threads=threads, options=options)
    return VisionLanguageModel(engine, name="tiny", precision=precision, limits=Limits()), engine


@needs_extension
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_moondream2_answers_alike_alone_in_company_from_the_cache_and_after_preemption(
    folder, precision, capsys
):
    asked = {"max_tokens": 40, "detail": "low", "ignore_stop": True}
    model, engine = open_model(folder, precision)
    with model:
        assert "kernels_used" in "".join(capsys.readouterr())
        alone = [model.describe(one, **asked).token_ids for one in PICTURES]
        places = model.detect(PICTURES[0], "cat", max_places=3).token_ids
        together = [one.token_ids for one in model.describe_many(PICTURES, batch_size=4, **asked)]
        again = [model.describe(PICTURES[-1], **asked) for _ in range(2)][1]
        own_answers_are_likeliest(model, PICTURES[:2], max_tokens=8, ignore_stop=True)
    assert again.usage.cached_tokens > 0
    tokens_are_equal(again.token_ids, alone[-1], f"{precision}: from the cache")
    crowded, engine = open_model(folder, precision, threads=2, max_blocks=7)  # room for one, shared by four
    with crowded:
        scarce = [one.token_ids for one in crowded.describe_many(PICTURES, batch_size=4, **asked)]
        tokens_are_equal(crowded.detect(PICTURES[0], "cat", max_places=3).token_ids, places, "places")
        assert engine.worker.inspect().num_preemptions > 0
    for one, other, third in zip(alone, together, scarce, strict=True):
        tokens_are_equal(other, one, f"{precision}: together")
        tokens_are_equal(third, one, f"{precision}: preempted, on two threads")
    assert len({*alone}) > 2
