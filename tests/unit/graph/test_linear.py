"""A product with a stored matrix equals that with its dequantised values, and codes stay codes in memory."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as ops

from smallsight.engine.reference.products import DenseWeights
from smallsight.graph.compiled import compile_network
from smallsight.graph.linear import linear
from smallsight.quant.forms import Storage

MATRIX = np.random.default_rng(0).standard_normal((48, 256)).astype(np.float32)
ROWS = np.random.default_rng(1).standard_normal((5, 256)).astype(np.float32)
TUNING = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
RUNTIME_TYPES = {"int8": "i8", "int4": "i4", "nf4": "nf4", "fp4": "f4e2m1"}


@pytest.mark.parametrize("form", Storage)
def test_the_runtime_multiplies_by_the_dequantised_matrix(form):
    stored = form.store(MATRIX)
    expected = ROWS @ DenseWeights({"weight": stored}).vector("weight").T
    product, kinds = product_of(stored)
    assert np.abs(product - expected).max() < 2e-2 * np.abs(expected).max()  # bf16 rounds the rows too
    if form.is_integer:
        assert np.abs(product - expected).max() < 1e-4 * np.abs(expected).max()
        assert RUNTIME_TYPES[form.partition("-")[0]] in kinds, "the weight was expanded to another type"


def product_of(stored):
    rows = ops.parameter([-1, 256], np.float32, name="rows")
    model = ov.Model([ops.result(ops.convert(linear(rows, stored), "f32"))], [rows], "product")
    compiled = compile_network(lambda: model, threads=1, tuning=TUNING).model
    request = compiled.create_infer_request()
    request.infer([ROWS])
    kinds = {
        op.get_output_element_type(0).get_type_name()
        for op in compiled.get_runtime_model().get_ops()
        if op.get_rt_info()["layerType"].astype(str) == "Const"
    }
    return request.get_output_tensor(0).data.copy(), kinds
