"""Keeping the memory of weights low while the runtime packs its own copy of them.

The runtime packs a layer when it first runs it, and reads the bundle's pages for that. Given back only
afterwards, they would stand beside the packed copy and make up half of the most that a process ever takes.
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
    """Give the pages of a bundle back again and again; they are read again where they are still needed."""
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
