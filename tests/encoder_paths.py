"""The instruction sets in which the extension's encoder computes; tests take each that this processor has."""

from __future__ import annotations

import pytest

from smallsight.machine.extension import find_extension

HAS_ENCODER = find_extension().module is not None


def runs(path: str) -> bool:
    """Return whether this processor runs a path."""
    return HAS_ENCODER and find_extension().module.encoder_path_name(path) == path


PATHS = [
    pytest.param(path, marks=pytest.mark.skipif(not runs(path), reason=f"no {path} on this processor"))
    for path in ("plain", "avx2", "avx512", "avx512-bf16", "amx")
]
