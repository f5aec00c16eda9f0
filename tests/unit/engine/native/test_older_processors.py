"""The extension on processors without AVX-512, which QEMU emulates: it chooses what they can run.

A file that is compiled for newer processors must not be entered on others, not even to ask for its name: a
build with AMX ended the process with SIGILL on a Zen 3 when the first model was loaded.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


def emulator():
    return shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        platform.machine() not in {"x86_64", "AMD64"}, reason="the extension is built for another processor"
    ),
    pytest.mark.skipif(emulator() is None, reason="QEMU is not installed; make test-all does it on Debian"),
    pytest.mark.skipif(
        importlib.util.find_spec("smallsight_kernels") is None, reason="the extension is not installed"
    ),
]


@pytest.mark.parametrize(("processor", "path"), [("Nehalem", "plain"), ("Haswell", "avx2")])
def test_every_path_that_an_older_processor_runs_computes_the_same_bits(processor, path):
    """Haswell has AVX2 and no AVX-512; numpy itself needs a Nehalem."""
    command = [emulator(), "-cpu", processor, sys.executable, "-m", "release.try_kernels"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert f"{path} is the fastest" in said[0]
    assert f"{path}, 4 bits, 2 threads: the same bits" in said
    assert "resizing: the same pixels" in said
