"""The stage ``embed_picture``: a vector of what a picture looks like, without words for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import sqlalchemy as sa
from PIL import Image

from smallsight.errors import PictureError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.picture_embedding import PictureEmbedding, store_picture_vector
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE

EMBED_PICTURE = StageName("embed_picture")
_Embedded: TypeAlias = tuple[np.ndarray | None, float]


class EmbedPictureWork:
    """Embeds several pictures at once while the next one is decoded; they leave in their order.

    It gets all pixels, so that a vector is the one that the model makes of the file itself, whichever stages
    run with it.
    """

    activity = "Embedding pictures"
    needs = Needs.FULL_SIZE
    holds_back = False  # only as many as are embedded at once, two on most machines
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, embedder: PictureEmbedding) -> None:
        self._embedder = embedder
        self.stages = (Stage(EMBED_PICTURE, embedder.key),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Yield the contents in order; a vector does not depend on its neighbours."""
        begun: deque[tuple[OpenedContent, Future[_Embedded]]] = deque()
        with ThreadPoolExecutor(self._embedder.num_at_once, "smallsight-embedding") as threads:
            try:
                for content in contents:
                    begun.append((content, threads.submit(self._embed, content)))
                    if len(begun) == self._embedder.num_at_once:
                        yield self._finished(*begun.popleft(), outcomes)
                while begun:
                    yield self._finished(*begun.popleft(), outcomes)
            finally:
                for _, one in begun:
                    one.cancel()

    def _embed(self, content: OpenedContent) -> _Embedded:
        """Return the vector of a picture for which the stage is due, None without pixels, and the seconds."""
        started_s = time.perf_counter()
        picture = content.picture
        if not content.is_due(EMBED_PICTURE) or _error_of(content) or picture is None:
            return None, 0.0
        if (pixels_HWC := picture.full_size_HWC) is None:
            return None, 0.0
        vector_D = self._embedder.embed_pictures([Image.fromarray(pixels_HWC)])[0]
        return vector_D, time.perf_counter() - started_s

    def _finished(
        self, content: OpenedContent, embedded: Future[_Embedded], outcomes: Outcomes
    ) -> OpenedContent:
        """Store the outcome of a content for which the stage is due, and return the content."""
        vector_D, seconds = embedded.result()
        if not content.is_due(EMBED_PICTURE):
            return content
        content_id = content.task.content_id

        def write(connection: sa.Connection) -> None:
            if vector_D is not None:
                store_picture_vector(connection, content_id, vector_D, self._embedder.key)

        ended = Ended(content, EMBED_PICTURE, content.take_opening_s() + seconds, _error_of(content))
        outcomes.store([ended], write)
        return content


def _error_of(content: OpenedContent) -> PictureError | None:
    return content.error or content.full_size_error
