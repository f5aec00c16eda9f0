"""The optional extension, on the processor that the tests run on."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A separate process, as an instruction that the processor lacks ends it.
_NAME_PATHS = """
import smallsight_kernels as kernels
print(kernels.path_name("auto"), kernels.encoder_path_name("auto"))
"""


def test_the_extension_chooses_code_that_this_processor_runs() -> None:
    command = [sys.executable, "-c", _NAME_PATHS]
    child = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if "ModuleNotFoundError" in child.stderr:
        pytest.skip("smallsight-kernels is not installed")

    assert (child.returncode, child.stderr) == (0, "")
    assert len(child.stdout.split()) == 2
