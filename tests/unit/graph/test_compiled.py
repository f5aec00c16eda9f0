from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as ops

from running_threads import cores_of_running_threads
from smallsight.graph.compiled import activation_group, compile_network, cpu_options, runtime
from smallsight.graph.linear import linear
from smallsight.machine.processor import Processor

HERE = Path(__file__).parent
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


COMPUTING = """
import sys
import numpy as np
from test_compiled import build
from smallsight.graph.compiled import compile_network
network = compile_network(build, threads=int(sys.argv[1])).model
print("computing", flush=True)
while True:
    network([np.ones((8, 256, 64), np.float32)])
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells where threads may run")
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_run_on_every_core(threads: int) -> None:
    """Pinned ones shared core 0 with those of every other process that had as few of them.

    A process by itself, because other tests compile networks that are pinned.
    """
    command = [sys.executable, "-c", COMPUTING, str(threads)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in [*sys.path, str(HERE)] if path)
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"computing\n"
            found = {cores for _ in range(1000) for cores in cores_of_running_threads(child.pid)}
        finally:
            child.kill()
    assert found == {frozenset(os.sched_getaffinity(0))}


def test_tuning_goes_before_the_usual_options():
    usual = compile_network(build, threads=1)
    tuned = compile_network(build, threads=1, tuning={"PERFORMANCE_HINT": "THROUGHPUT"})
    hints = [one.model.get_property("PERFORMANCE_HINT") for one in (usual, tuned)]
    assert hints == ["LATENCY", "THROUGHPUT"]


@pytest.mark.parametrize(
    ("limit", "group"), [("AVX2", 0), ("AVX512_CORE", 0), ("AVX512_CORE_VNNI", 32), ("ALL", 32)]
)
def test_inputs_are_rounded_only_where_int8_products_are_fast(limit, group, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    can = Processor("a Xeon", ("avx2", "avx512f", "avx512_vnni"))
    monkeypatch.setattr("smallsight.machine.processor.processor", lambda: can)
    assert activation_group(32) == group
    assert cpu_options(1)["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == group


def test_the_setting_of_this_runtimes_onednn_does_not_reach_another_one() -> None:
    """torch has a oneDNN too: without its cache, it generated the code of every convolution anew."""
    runtime()
    assert "ONEDNN_PRIMITIVE_CACHE_CAPACITY" not in os.environ
