"""The stage ``embed_picture``: a vector of what a picture looks like, without words for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
import sqlalchemy as sa

from smallsight.errors import PictureError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.picture_embedding import PictureEmbedding, store_picture_vector
from smallsight.library.stages.embedded import embedded
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE

EMBED_PICTURE = StageName("embed_picture")


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
        with closing(embedded(contents, self._embedder, _images_of)) as all_embedded:
            for content, vectors, seconds in all_embedded:
                if content.is_due(EMBED_PICTURE):
                    self._store(content, vectors, seconds, outcomes)
                yield content

    def _store(
        self, content: OpenedContent, vectors: Sequence[np.ndarray], seconds: float, outcomes: Outcomes
    ) -> None:
        content_id = content.task.content_id

        def write(connection: sa.Connection) -> None:
            for vector_D in vectors:
                store_picture_vector(connection, content_id, vector_D, self._embedder.key)

        ended = Ended(content, EMBED_PICTURE, content.take_opening_s() + seconds, _error_of(content))
        outcomes.store([ended], write)


def _images_of(content: OpenedContent) -> list[np.ndarray]:
    """Return the picture for which the stage is due; nothing without pixels."""
    picture = content.picture
    if not content.is_due(EMBED_PICTURE) or _error_of(content) or picture is None:
        return []
    return [] if picture.full_size_HWC is None else [picture.full_size_HWC]


def _error_of(content: OpenedContent) -> PictureError | None:
    return content.error or content.full_size_error
