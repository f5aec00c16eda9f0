"""Florence-2's decoder in smallsight-kernels: against plain numpy, OpenVINO's network, and a whole model."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from invariants import tokens_are_equal
from native_decoders import RoundedWeights, bf16_bits, bf16_rounded, needs_extension, usable_paths
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.loading import load_engine
from smallsight.engine.native.native_cache import NativeCache, key_blocks, value_blocks
from smallsight.engine.native.native_runner import bind_decoder
from smallsight.engine.native.search_decoder import native_search_decoder
from smallsight.engine.openvino.prompt_encoder import PromptEncoder
from smallsight.engine.openvino.stateful_decoder import StatefulDecoder
from smallsight.engine.reference.products import softmax
from smallsight.families.florence2.model import Florence2Model
from smallsight.families.florence2.text_graphs import NORM_EPSILON
from smallsight.graph.compiled import compile_network
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.policy.row_bands import RowBands
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits
from tiny_florence2 import SHAPES, write_tiny_florence2

TOKENS, BEAMS, MEMORY = 37, 3, 53  # both lengths end within a block
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40 + seed, 60, 3), np.uint8))
    for seed in range(7)
]


class BartReference:
    """Computes a whole answer in numpy, with rounded inputs of products."""

    def __init__(self, model, stored):
        self._sizes = model.step_decoder(stored).sizes
        self._weights = RoundedWeights(
            {name: one for name, one in stored.items() if "decoder" in name or "head" in name}
        )

    def logits(self, embedded_TD, memory):
        hidden_TD = self._norm("decoder.embedding_norm", embedded_TD)
        sees = np.tril(np.ones((len(embedded_TD), len(embedded_TD)), bool))
        for layer in range(self._sizes.layers):
            name = f"decoder.layers.{layer}"
            query, key, value = self._heads(self._weights.linear(f"{name}.self_attention", hidden_TD), 3)
            attended = self._attend(query, bf16_rounded(key), bf16_rounded(value), sees)
            hidden_TD = self._after(name, "self_output", "self_norm", hidden_TD, attended)
            (query,) = self._heads(self._weights.linear(f"{name}.cross_query", hidden_TD), 1)
            attended = self._attend(query, *memory[layer], np.ones((1, 1), bool))
            hidden_TD = self._after(name, "cross_output", "cross_norm", hidden_TD, attended)
            up = self._weights.linear(f"{name}.ffn_up", hidden_TD)
            widened = up * 0.5 * (1 + np.vectorize(math.erf)(up / 2**0.5))
            hidden_TD = self._after(name, "ffn_down", "ffn_norm", hidden_TD, widened.astype(np.float32))
        return self._weights.linear("head", hidden_TD)

    def _heads(self, joined, parts):
        shape = len(joined), parts, self._sizes.heads, self._sizes.head_dim
        return joined.reshape(shape).transpose(1, 2, 0, 3)

    def _attend(self, query, key, value, sees):
        scores = query @ key.transpose(0, 2, 1) * self._sizes.head_dim**-0.5
        mixed = softmax(np.where(sees, scores, -np.inf).astype(np.float32)) @ value
        return mixed.transpose(1, 0, 2).reshape(query.shape[1], -1)

    def _after(self, name, product, norm, hidden_TD, inner):
        return self._norm(f"{name}.{norm}", hidden_TD + self._weights.linear(f"{name}.{product}", inner))

    def _norm(self, name, rows):
        centred = rows - rows.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + NORM_EPSILON)
        return scaled * self._weights.vector(f"{name}.weight") + self._weights.vector(f"{name}.bias")


class FollowedBeams:
    """A search that takes given tokens and parents, and keeps the logits."""

    def __init__(self, seed):
        values = np.random.default_rng(seed)
        self.tokens = [tuple(map(int, values.integers(4, 300, BEAMS))) for _ in range(TOKENS)]
        self._parents = [tuple(map(int, values.integers(0, BEAMS, BEAMS))) for _ in range(TOKENS)]
        self.logits = []

    @property
    def next_tokens(self):
        return self.tokens[min(len(self.logits), TOKENS - 1)]

    @property
    def is_done(self):
        return len(self.logits) == TOKENS

    def advance(self, logits_KV):
        self.logits.append(logits_KV.copy())
        return self._parents[len(self.logits) - 1]


@pytest.fixture(
    scope="module", params=[(shape, one) for shape in SHAPES for one in ("int8", "int4")], ids=str
)
def opened(request, tmp_path_factory):
    """A model, its stored weights, and its folder."""
    shape, precision = request.param
    folder = write_tiny_florence2(tmp_path_factory.mktemp("florence2") / "tiny", shape)
    model = Florence2Model(folder, SCHEMES[precision])
    return model, {name: calmer(name, one) for name, one in model.store()}, folder


def calmer(name, stored):
    """Smaller queries: the checkpoint's make one rounded value decide which token of the memory is seen."""
    if "cross_query" not in name:
        return stored
    return replace(stored, scales=stored.scales / 64) if name.endswith("weight") else stored / 64


@needs_extension
def test_every_path_has_the_same_bits_alone_and_together(opened):
    model, stored, _ = opened
    decoder = model.step_decoder(stored)
    sizes, values = decoder.sizes, np.random.default_rng(1)
    memory = bf16_rounded(values.standard_normal((sizes.layers, 2, sizes.heads, MEMORY, sizes.head_dim)))
    whole = np.pad(memory, [(0, 0)] * 3 + [(0, -MEMORY % 32), (0, 0)])
    sides = [(key_blocks(bf16_bits(keys)), value_blocks(bf16_bits(one))) for keys, one in whole]
    blocks = np.array(sides, np.uint16)
    embedded_BTD = values.standard_normal((BEAMS, TOKENS, sizes.hidden)).astype(np.float32)

    def run(path, threads, beams):
        cache = NativeCache(sizes, num_bytes=0)
        step = bind_decoder(decoder, cache.layers(), threads, path)
        logits_BTV = np.empty((len(beams), TOKENS, sizes.vocabulary), np.float32)
        tables = np.arange(2 * len(beams)).reshape(-1, 2)
        for position in range(TOKENS):
            begins = [2 * row for row in range(len(beams))]
            pieces = np.array([(1, position, 0, begin, 1) for begin in begins], np.int32)
            logits_BV = np.empty((len(beams), sizes.vocabulary), np.float32)
            hidden_BD = np.empty((len(beams), sizes.hidden), np.float32)
            given = np.ascontiguousarray(embedded_BTD[beams, position])
            memories = [(blocks, MEMORY)] * len(beams)
            step.run(given, pieces, tables.astype(np.int32).ravel(), logits_BV, hidden_BD, memories)
            logits_BTV[:, position] = logits_BV
        return logits_BTV

    plain_BTV = run("plain", 1, [0, 1, 2])
    reference = BartReference(model, stored)
    expected_TV = reference.logits(embedded_BTD[0], [(keys, one) for keys, one in memory])
    np.testing.assert_allclose(plain_BTV[0], expected_TV, atol=0.03 * np.abs(expected_TV).max())
    assert np.median(np.abs(plain_BTV[0] - expected_TV)) < 2e-3 * np.abs(expected_TV).max()
    for path in usable_paths():
        for beams, threads in (([0, 1, 2], 3), ([1], 2), ([2, 0], 1)):
            np.testing.assert_array_equal(run(path, threads, beams), plain_BTV[beams], err_msg=path)


@needs_extension
def test_beams_have_the_logits_of_openvinos_network_token_by_token(opened):
    model, stored, folder = opened
    encoder, decoder = (
        compile_network(lambda build=build: build(stored), threads=1, tuning=EXACT)
        for build in (model.encoder_graph, model.decoder_graph)
    )
    prompts = PromptEncoder(encoder, model.embeddings())
    options = EngineOptions(uses_kernels=True)
    request = LoadRequest(folder, model.scheme, threads=2, options=options)
    native = native_search_decoder(model.step_decoder(stored), model.positions(stored), prompts, request)
    runtime = StatefulDecoder(prompts, decoder, RowBands())
    image_tokens = model.config.tokens_per_image(model.processor.image_px)
    features = (
        np.random.default_rng(2).standard_normal((3, image_tokens, model.config.hidden)).astype(np.float32)
    )
    ids = [model.config.image_token_id] * image_tokens

    def searched(decoder, chosen):
        searches = [FollowedBeams(seed) for seed in chosen]
        encoded = [
            decoder.encode([*ids, *range(4, 9 + 20 * seed)], ids[0], features[seed]) for seed in chosen
        ]
        decoder.search(encoded, searches)
        return [np.array(one.logits) for one in searches]

    together = searched(native, [0, 1, 2])
    for seed, found in enumerate(together):
        np.testing.assert_array_equal(searched(native, [seed])[0], found)
        expected = searched(runtime, [seed])[0]
        away = np.abs(found - expected) / np.abs(expected).max()
        assert away.max() < 0.05
        assert np.median(away) < 0.005


@needs_extension
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_florence2_answers_alike_alone_and_with_others(precision, tmp_path, capsys):
    folder = write_tiny_florence2(tmp_path / "tiny", SHAPES[0])
    options = EngineOptions(uses_kernels=True)
    asked = {"max_tokens": 40, "ignore_stop": True}
    with VisionLanguageModel(
        load_engine("florence2", folder, SCHEMES[precision], threads=2, options=options),
        name="tiny",
        precision=precision,
        limits=Limits(),
    ) as model:
        assert "kernels_used" in "".join(capsys.readouterr())
        alone = [model.describe(one, **asked).token_ids for one in PICTURES]
        together = [one.token_ids for one in model.describe_many(PICTURES, **asked)]
        wide = [model.describe(PICTURES[0], num_beams=16, **asked).token_ids for _ in range(2)]
    for one, other in zip(alone, together, strict=True):
        tokens_are_equal(other, one, f"{precision}: together")
    tokens_are_equal(*wide, f"{precision}: 16 beams")
    assert len({*alone}) > 2
