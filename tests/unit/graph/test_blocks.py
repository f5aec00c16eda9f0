"""Each block of the graph against the same formula in numpy, run by the real runtime."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import openvino as ov
import pytest
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.activation import gelu
from smallsight.graph.attention import attend, padding_scores
from smallsight.graph.embedding import embed_tokens
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm, unit_length
from smallsight.graph.pooling import mean_over_tokens
from smallsight.quant.int8_rows import dequantize_rows, quantize_rows

F32 = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}


def run(block: Callable[..., Node], *inputs: np.ndarray, static_last: bool = True) -> np.ndarray:
    """Lay out one block with all but the last dimension unknown, and run it."""
    shapes = [[-1] * (x.ndim - 1) + [x.shape[-1] if static_last else -1] for x in inputs]
    parameters = [ops.parameter(shape, x.dtype) for shape, x in zip(shapes, inputs, strict=True)]
    model = ov.Model([ops.result(block(*parameters))], parameters, "block")
    return ov.Core().compile_model(model, "CPU", F32)(list(inputs))[0]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("tokens", [1, 7])
def test_linear_in_float32(tokens: int):
    hidden, weight, bias = random(3, tokens, 16), random(8, 16, seed=1), random(8, seed=2)
    got = run(lambda x: linear(x, weight, bias), hidden)
    np.testing.assert_allclose(got, hidden @ weight.T + bias, atol=1e-5)


def test_linear_in_int8_equals_float32_with_the_rounded_weight():
    hidden, weight, bias = random(2, 5, 64), random(32, 64, seed=1), random(32, seed=2)
    stored = quantize_rows(weight)
    got = run(lambda x: linear(x, stored, bias), hidden)
    np.testing.assert_allclose(got, hidden @ dequantize_rows(stored).T + bias, atol=1e-4)
    assert np.abs(got - (hidden @ weight.T + bias)).max() > 1e-3, "the codes were not used"


def test_linear_int8_codes_stay_int8_in_the_compiled_network():
    stored = quantize_rows(random(64, 64))
    parameter = ops.parameter([-1, -1, 64], np.float32)
    model = ov.Model([ops.result(linear(parameter, stored, random(64)))], [parameter], "linear")
    compiled = ov.Core().compile_model(model, "CPU", F32)
    constants = [
        node.get_output_element_type(0).get_type_name()
        for node in compiled.get_runtime_model().get_ops()
        if list(node.get_output_partial_shape(0).get_max_shape()) == [64, 64]
    ]
    assert constants == ["i8"], "the weight was expanded: the plugin did not recognise the pattern"


@pytest.mark.parametrize("is_int8", [False, True])
def test_embed_tokens_takes_rows_in_order(is_int8: bool):
    table, token_ids = random(11, 6), np.array([[0, 10, 3], [3, 3, 1]], np.int32)
    stored = quantize_rows(table)
    expected = dequantize_rows(stored) if is_int8 else table
    got = run(lambda x: embed_tokens(stored if is_int8 else table, x), token_ids, static_last=False)
    np.testing.assert_allclose(got, expected[token_ids], atol=1e-6)


def test_layer_norm():
    hidden, weight, bias = random(2, 3, 10) * 4 + 2, random(10, seed=1), random(10, seed=2)
    centred = hidden - hidden.mean(-1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 0.1) * weight + bias
    got = run(lambda x: layer_norm(x, weight, bias, 0.1), hidden)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_unit_length_and_zeros():
    got = run(unit_length, np.array([[3, 4], [0, 0], [-1e-3, 0]], np.float32))
    np.testing.assert_allclose(got, [[0.6, 0.8], [0, 0], [-1, 0]], atol=1e-6)


def test_gelu_is_the_exact_one():
    values = np.linspace(-4, 4, 33, dtype=np.float32).reshape(1, 1, -1)
    expected = [x * 0.5 * (1 + math.erf(x / 2**0.5)) for x in values.ravel().tolist()]
    np.testing.assert_allclose(run(gelu, values).ravel(), expected, atol=2e-5)


@pytest.mark.parametrize("num_heads", [1, 4])
def test_attend_sees_both_ways_and_not_the_padding(num_heads: int):
    query, key, value = (random(2, 5, 16, seed=seed) for seed in range(3))
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.float32)

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(2, 5, num_heads, -1).transpose(0, 2, 1, 3)

    scores = heads(query) @ heads(key).transpose(0, 1, 3, 2) / (16 / num_heads) ** 0.5
    scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
    expected = (softmax(scores) @ heads(value)).transpose(0, 2, 1, 3).reshape(2, 5, 16)

    def block(q: Node, k: Node, v: Node, m: Node) -> Node:
        return attend(q, k, v, padding_scores(m), num_heads)

    np.testing.assert_allclose(run(block, query, key, value, mask), expected, atol=1e-5)


def test_mean_over_tokens_leaves_padding_out():
    hidden, mask = random(2, 3, 4), np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    got = run(mean_over_tokens, hidden, mask)
    np.testing.assert_allclose(got, [hidden[0].mean(0), hidden[1, 0]], atol=1e-6)
