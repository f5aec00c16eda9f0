"""Pages of weights are released while something reads them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from smallsight.engine.engine import LoadRequest
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.weight_store import StoredWeights
from smallsight.quant.bundle import Bundle, BundleWriter
from smallsight.quant.scheme import SCHEMES

REQUEST = LoadRequest(Path("model"), SCHEMES["int8"])


def test_pages_are_released_repeatedly_and_stay_readable(tmp_path, monkeypatch):
    values = np.arange(100_000, dtype=np.float32)
    with BundleWriter(tmp_path / "weights") as writer:
        writer.add("values", values)
    released = []
    release = Bundle.release_pages

    def counted(bundle):
        released.append(threading.current_thread().name)
        release(bundle)

    monkeypatch.setattr(Bundle, "release_pages", counted)
    bundle = Bundle(tmp_path / "weights")
    with releasing_pages(StoredWeights(bundle, bundle.num_bytes, "key", REQUEST)):
        deadline = time.monotonic() + 60
        while len(released) < 3 and time.monotonic() < deadline:
            np.testing.assert_array_equal(bundle["values"], values)
    assert released.count("smallsight-packing") >= 3
    assert released[-1] == threading.current_thread().name
    assert not any(thread.name == "smallsight-packing" for thread in threading.enumerate())


def test_weights_in_memory_are_left_alone():
    weights = StoredWeights({"values": np.zeros(3, np.float32)}, 12, "key", REQUEST)
    with releasing_pages(weights):
        assert not any(thread.name == "smallsight-packing" for thread in threading.enumerate())
