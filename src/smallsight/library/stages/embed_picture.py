"""The stage ``embed_picture``: a vector of what a picture looks like, without words for it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import sqlalchemy as sa
from PIL import Image

from smallsight.errors import PictureError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.picture_embedding import PictureEmbedding, store_picture_vector
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE

EMBED_PICTURE = StageName("embed_picture")


class EmbedPictureWork:
    """Embeds every picture while the next one is decoded.

    It gets all pixels, so that a vector is the one that the model makes of the file itself, whichever stages
    run with it.
    """

    activity = "Embedding pictures"
    needs = Needs.FULL_SIZE
    holds_back = False
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, embedder: PictureEmbedding) -> None:
        self._embedder = embedder
        self.stages = (Stage(EMBED_PICTURE, embedder.key),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Embed one picture after another; a vector does not depend on its neighbours."""
        for content in contents:
            if content.is_due(EMBED_PICTURE):
                self._embed(content, outcomes)
            yield content

    def _embed(self, content: OpenedContent, outcomes: Outcomes) -> None:
        started_s = time.perf_counter()
        error: PictureError | None = content.error or content.full_size_error
        pixels_HWC = None if content.picture is None else content.picture.full_size_HWC
        vector_D = None
        if error is None and pixels_HWC is not None:
            vector_D = self._embedder.embed_pictures([Image.fromarray(pixels_HWC)])[0]
        seconds = content.take_opening_s() + time.perf_counter() - started_s
        content_id = content.task.content_id

        def write(connection: sa.Connection) -> None:
            if vector_D is not None:
                store_picture_vector(connection, content_id, vector_D, self._embedder.key)

        outcomes.store([Ended(content, EMBED_PICTURE, seconds, error)], write)
