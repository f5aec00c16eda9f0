from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset15 as ops

from smallsight.graph.compiled import compile_network
from smallsight.graph.linear import linear

WEIGHT = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)


def build() -> ov.Model:
    parameter = ops.parameter([-1, -1, 64], np.float32)
    return ov.Model([ops.result(linear(parameter, WEIGHT, np.zeros(64, np.float32)))], [parameter], "test")


def test_a_network_runs_on_the_threads_it_was_given():
    network = compile_network(build, threads=1)
    assert not network.from_cache
    assert network.model.get_property("INFERENCE_NUM_THREADS") == 1
    got = network.model([np.ones((1, 1, 64), np.float32)])[0]
    np.testing.assert_allclose(got[0, 0], WEIGHT.sum(1), atol=1e-4)


def test_tuning_goes_before_the_usual_options():
    usual = compile_network(build, threads=1)
    tuned = compile_network(build, threads=1, tuning={"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})
    groups = [one.model.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") for one in (usual, tuned)]
    assert groups == [32, 0]
