"""A process measures its own memory as the kernel counts it."""

from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest

from smallsight.machine.memory import trim_heap
from smallsight.machine.process_memory import PeakMeter, process_memory

MIB = 1024**2
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def no_free_memory_is_kept() -> None:
    """What earlier tests have freed would be used again, and the process would not grow."""
    trim_heap()


def test_memory_is_what_others_see():
    now = process_memory()
    seen = psutil.Process().memory_info().rss
    assert abs(now.resident_bytes - seen) < 0.03 * seen
    assert 0 < now.private_bytes <= now.resident_bytes


def test_new_memory_is_private():
    before = process_memory()
    held = np.ones(64 * MIB, np.uint8)
    after = process_memory()
    assert held[0] == 1
    assert after.private_bytes - before.private_bytes == pytest.approx(64 * MIB, rel=0.1)


def test_the_peak_is_that_since_the_last_restart():
    meter = PeakMeter()
    before = process_memory().resident_bytes
    held = np.ones(64 * MIB, np.uint8)
    del held
    assert meter.peak_bytes() > before + 60 * MIB
    trim_heap()
    meter.restart()
    assert meter.peak_bytes() < before + 30 * MIB
    meter.close()


@on_linux
def test_without_the_kernels_peak_samples_are_taken(monkeypatch, tmp_path):
    monkeypatch.setattr("smallsight.machine.process_memory._CLEAR_REFS", tmp_path / "absent" / "clear_refs")
    meter = PeakMeter()
    assert not meter.is_exact
    before = process_memory().resident_bytes
    held = np.ones(64 * MIB, np.uint8)
    for _ in range(200):  # the sampler needs its turn
        held += 1
        if meter.peak_bytes() > before + 60 * MIB:
            break
    del held
    assert meter.peak_bytes() > before + 60 * MIB
    meter.close()
