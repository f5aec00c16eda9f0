"""Embeds the images of contents, several at once, while the next contents are opened."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from smallsight.library.opened_content import OpenedContent
from smallsight.library.picture_embedding import PictureEmbedding

_Timed = tuple[np.ndarray, float]


def embedded(
    contents: Iterator[OpenedContent],
    embedder: PictureEmbedding,
    images_of: Callable[[OpenedContent], Sequence[np.ndarray]],
) -> Generator[tuple[OpenedContent, list[np.ndarray], float], None, None]:
    """Yield each content, in order, with the vectors [D] of its images, RGB, and the seconds that they took.

    Each image is one call, so that a vector does not depend on what is embedded with it. As many contents
    are ahead as images are embedded at once.
    """
    begun: deque[tuple[OpenedContent, list[Future[_Timed]]]] = deque()

    def embed(image_HWC: np.ndarray) -> _Timed:
        started_s = time.perf_counter()
        return embedder.embed_pictures([image_HWC])[0], time.perf_counter() - started_s

    def finished() -> tuple[OpenedContent, list[np.ndarray], float]:
        content, futures = begun.popleft()
        results = [one.result() for one in futures]
        return content, [vector_D for vector_D, _ in results], sum(seconds for _, seconds in results)

    with ThreadPoolExecutor(embedder.num_at_once, "smallsight-embedding") as threads:
        try:
            for content in contents:
                begun.append((content, [threads.submit(embed, one) for one in images_of(content)]))
                if len(begun) == embedder.num_at_once:
                    yield finished()
            while begun:
                yield finished()
        finally:
            for _, futures in begun:
                for one in futures:
                    one.cancel()
