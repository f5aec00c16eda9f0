"""The stage ``embed_frames``: vectors of a few frames of animations and videos, each with its time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import numpy as np
import sqlalchemy as sa

from smallsight.errors import PictureError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.picture_embedding import PictureEmbedding, store_frame_vectors
from smallsight.library.schema import content as content_table
from smallsight.library.stages.embedded import embedded
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.media.video_formats import ANIMATIONS, CONTAINERS

EMBED_FRAMES = StageName("embed_frames")
_VERSION = "frames-1"  # how frames are chosen and resized


class EmbedFramesWork:
    """Embeds frames beside the vector of the picture itself, which stays as it is.

    Whether a content moves is known once it has been looked at, so that the stage is a pass of the work.
    """

    activity = "Embedding frames"
    needs = Needs.FRAMES
    holds_back = False
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, embedder: PictureEmbedding) -> None:
        self._embedder = embedder
        moves = sa.and_(
            content_table.c.num_frames > 1, content_table.c.format.in_((*ANIMATIONS, *CONTAINERS))
        )
        self.stages = (Stage(EMBED_FRAMES, f"{_VERSION} {embedder.key}", only=moves),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Yield the contents in order; the frames of one are stored together."""
        with closing(embedded(contents, self._embedder, _images_of)) as all_embedded:
            for content, vectors, seconds in all_embedded:
                if content.is_due(EMBED_FRAMES):
                    self._store(content, vectors, seconds, outcomes)
                yield content

    def _store(
        self, content: OpenedContent, vectors: list[np.ndarray], seconds: float, outcomes: Outcomes
    ) -> None:
        content_id = content.task.content_id
        times_s = [one.time_s for one in content.frames]
        content.frames = ()

        def write(connection: sa.Connection) -> None:
            if vectors:
                store_frame_vectors(
                    connection, content_id, list(zip(times_s, vectors, strict=True)), self._embedder.key
                )

        error = _error_of(content)
        outcomes.store([Ended(content, EMBED_FRAMES, content.take_opening_s() + seconds, error)], write)


def _images_of(content: OpenedContent) -> list[np.ndarray]:
    if not content.is_due(EMBED_FRAMES) or _error_of(content):
        return []
    return [one.pixels_HWC for one in content.frames]


def _error_of(content: OpenedContent) -> PictureError | None:
    return content.error or content.frames_error
