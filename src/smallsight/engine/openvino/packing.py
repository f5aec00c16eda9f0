"""Keeps memory low while the runtime packs its own copy of the weights.

The runtime packs a layer on its first run and reads the bundle's pages for that. Released only afterwards,
these pages would make up half of the process's peak memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from smallsight.engine.openvino.weight_store import StoredWeights
from smallsight.quant.bundle import Bundle

PERIOD_S = 0.05


@contextmanager
def releasing_pages(weights: StoredWeights) -> Iterator[None]:
    """Release a bundle's pages periodically; they are read again if needed. Runs in a separate thread."""
    if not isinstance(weights.stored, Bundle):
        yield
        return
    is_over = threading.Event()

    def release() -> None:
        while not is_over.wait(PERIOD_S):
            weights.release_pages()

    thread = threading.Thread(target=release, name="smallsight-packing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        weights.release_pages()
