"""A process measures its own memory as the kernel counts it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

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


# Reads every page of a library, says so, and holds it until its input ends.
_HOLD_A_LIBRARY = """
import ctypes, re, sys
import numpy  # loads what the library depends on
from smallsight.machine.process_memory import process_memory

library = ctypes.CDLL(sys.argv[1])
for line in open("/proc/self/maps"):
    begin, end, rights, path = re.match(r"(\\w+)-(\\w+) (\\S+) \\S+ \\S+ \\S+ *(.*)", line).groups()
    if path == sys.argv[1] and rights[0] == "r":
        ctypes.string_at(int(begin, 16), int(end, 16) - int(begin, 16))
for _ in sys.stdin:
    print(process_memory().private_bytes, flush=True)
"""


@on_linux
def test_private_memory_does_not_depend_on_which_libraries_other_processes_map(tmp_path):
    """Linux 6: pages of a library count as Private_Clean until a second process maps them too."""
    library = tmp_path / "library.so"
    shutil.copy(next(Path(np.__file__).parents[1].glob("numpy.libs/*openblas*")), library)

    def holder() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", _HOLD_A_LIBRARY, str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def private_bytes(process: subprocess.Popen) -> int:
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    with holder() as first:
        alone = private_bytes(first)
        with holder() as second:
            private_bytes(second)
            beside = private_bytes(first)
            second.stdin.close()
        first.stdin.close()
    assert library.stat().st_size > 16 * MIB
    assert abs(beside - alone) < 2 * MIB


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
