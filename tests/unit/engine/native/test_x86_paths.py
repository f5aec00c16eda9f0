"""smallsight-kernels on x86-64 processors without AVX-512, emulated by QEMU: it runs what they have."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

ASKS = (
    "import smallsight_kernels as kernels; print(kernels.path_name('auto'), kernels.encoder_obstacle() != '')"
)


def emulator():
    return shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"}, reason="the extension is built for another"
)
@pytest.mark.skipif(find_spec("smallsight_kernels") is None, reason="smallsight-kernels is not installed")
@pytest.mark.skipif(emulator() is None, reason="QEMU is not installed; make test-all does it on Debian")
@pytest.mark.parametrize(("processor", "path"), [("Nehalem", "plain"), ("max", "avx2")])
def test_a_processor_without_avx_512_loads_the_extension_and_runs_what_it_has(processor, path):
    done = subprocess.run(
        [emulator(), "-cpu", processor, sys.executable, "-c", ASKS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stdout.split()) == (0, [path, "True"]), done.stderr
