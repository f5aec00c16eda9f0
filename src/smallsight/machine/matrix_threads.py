"""Limits numpy's products of matrices to one thread, in a process that answers many requests at once.

OpenBLAS starts a thread per core and lets the idle ones spin. That shortens one product on an idle machine;
on a busy one it costs many times the processor time of the product, and each request waits for all the
others.
"""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # OpenMP's would limit OpenVINO and torch too


def use_one_matrix_thread() -> None:
    """Limit them unless the environment says a number; has no effect once numpy is imported."""
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")
