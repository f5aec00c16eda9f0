"""Products of matrices use one thread where the process asked for it before importing numpy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import os, sys
from smallsight.machine.matrix_threads import use_one_matrix_thread
if sys.argv[1] == "one":
    use_one_matrix_thread()
import numpy as np
np.ones((512, 512)) @ np.ones((512, 512))
print(len(os.listdir("/proc/self/task")))
"""


def _num_threads(how_many: str, **environment: str) -> int:
    variables = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", _PROGRAM, how_many]
    run = subprocess.run(command, env=variables | environment, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux lists them")
def test_a_process_that_answers_requests_multiplies_with_one_thread_unless_told_otherwise() -> None:
    assert _num_threads("one") == 1
    if (os.cpu_count() or 1) > 1:
        assert _num_threads("one", OPENBLAS_NUM_THREADS="2") == 2
