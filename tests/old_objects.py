"""Keeps what a process has imported and collected out of its garbage collections.

A process that has collected every test has 600,000 objects, and a full collection visits them for half a
second. Unloading a model collects several times. Everything that a test makes is still visited.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_REAL = {name: getattr(gc, name) for name in ("freeze", "unfreeze", "get_freeze_count")}


@contextmanager
def old_objects_aside() -> Iterator[None]:
    """Freeze all objects for as long as the block lasts, and hide that from the program.

    What the program freezes in the meantime stays frozen too.
    """
    has_frozen = False

    def freeze() -> None:
        nonlocal has_frozen
        _REAL["freeze"]()
        has_frozen = True

    def forget() -> None:
        nonlocal has_frozen
        has_frozen = False

    gc.collect()
    _REAL["freeze"]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "freeze", freeze)
        patch.setattr(gc, "unfreeze", forget)
        patch.setattr(gc, "get_freeze_count", lambda: _REAL["get_freeze_count"]() if has_frozen else 0)
        yield
    gc.unfreeze()


@contextmanager
def old_objects_back() -> Iterator[None]:
    """Visit all objects again for as long as the block lasts: for tests of the freezing itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name, function in _REAL.items():
            patch.setattr(gc, name, function)
        gc.unfreeze()
        yield
        gc.freeze()
