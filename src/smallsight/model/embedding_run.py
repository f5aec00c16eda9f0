"""Embeds the pictures of one call: several threads take them in their order while the next few are opened."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from smallsight.engine.openvino.picture_embedder import PictureEmbedder
    from smallsight.families.plain_rgb import OpenedImage
    from smallsight.model.picture_argument import PictureArgument

_LEAST_AHEAD = 2  # pictures opened while others are embedded


class EmbeddingRun:
    """Used once. A thread prepares each picture as it takes it, so that few opened ones are in memory."""

    def __init__(
        self,
        embedder: PictureEmbedder,
        pictures: Sequence[PictureArgument],
        open_one: Callable[[PictureArgument], Future[OpenedImage]],
    ) -> None:
        """``open_one`` begins to open a picture."""
        self._embedder = embedder
        self._open_one = open_one
        self._left = enumerate(pictures)
        self._opened: deque[tuple[int, Future[OpenedImage]]] = deque()
        self._lock = threading.Lock()
        self._vectors_ND = np.empty((len(pictures), embedder.dimensions), np.float32)

    def vectors(self) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions]; raises what the first picture that fails raises."""
        at_once = self._embedder.num_at_once
        reached = [0] * at_once
        with ThreadPoolExecutor(at_once, "smallsight-embedding") as threads:
            workers = [threads.submit(self._work, reached, worker) for worker in range(at_once)]
            wait(workers, return_when=FIRST_EXCEPTION)
            self._stop()
        for _, worker in sorted(zip(reached, range(at_once), strict=True)):
            workers[worker].result()
        return self._vectors_ND

    def _work(self, reached: list[int], worker: int) -> None:
        """Embed groups of pictures until none is left; ``reached`` has the last that each worker took."""
        if not len(self._vectors_ND):
            return
        together = self._embedder.num_together(len(self._vectors_ND))
        while True:
            rows: list[int] = []
            prepared: list[NDArray[np.float32]] = []
            for row, opening in islice(self._taken(max(_LEAST_AHEAD, together)), together):
                reached[worker] = row
                prepared.append(self._embedder.prepared(opening.result()))
                rows.append(row)
            if not rows:
                return
            self._vectors_ND[rows] = self._embedder.embed_prepared(prepared)

    def _taken(self, num_ahead: int) -> Iterator[tuple[int, Future[OpenedImage]]]:
        """Take pictures, which no other thread gets then; ``num_ahead`` more are being opened."""
        while True:
            with self._lock:
                for row, picture in islice(self._left, 1 + num_ahead - len(self._opened)):
                    self._opened.append((row, self._open_one(picture)))
                if not self._opened:
                    return
                taken = self._opened.popleft()
            yield taken

    def _stop(self) -> None:
        """Leave what nobody has taken: after an error it is not wanted."""
        with self._lock:
            self._left = enumerate(())
            while self._opened:
                self._opened.pop()[1].cancel()
