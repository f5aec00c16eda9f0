"""Embeds what description runs have written, so that it is found by meaning without an index run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import sqlalchemy as sa

from smallsight.errors import SmallsightError
from smallsight.library.database import Database
from smallsight.library.description_runs import RunContentState
from smallsight.library.embedding import TextEmbedding
from smallsight.library.ledger import Ledger, Stage, runner_token
from smallsight.library.opened_content import OpenedContent
from smallsight.library.outcomes import Outcomes, StageReport
from smallsight.library.progress import Unreported
from smallsight.library.schema import content, description_run_content, outcome
from smallsight.library.stages.embed import EMBED, EmbedWork
from smallsight.policy.log import get_logger
from smallsight.settings import Settings

log = get_logger(__name__)

MAX_WAITING = 64


class DescribedTexts:
    """The contents that runs have described and whose vectors are out of date. For one thread."""

    def __init__(
        self, database: Database, settings: Settings, embedder: Callable[[], TextEmbedding | None]
    ) -> None:
        """``embedder`` is called when there is something to embed; None if there is no embedder."""
        self._database = database
        self._settings = settings
        self._find_embedder = embedder
        self._ledger = Ledger(runner_token(), settings.index.lease_s)
        self._ids: set[int] = set()

    @cached_property
    def _embedder(self) -> TextEmbedding | None:
        try:
            return self._find_embedder()
        except SmallsightError as error:  # descriptions are found by their words without it
            log.warning("descriptions_not_embedded", why=str(error))
            return None

    def find(self) -> None:
        """Find what a process that was killed has left."""
        up_to_date = sa.exists().where(
            outcome.c.content_id == content.c.id,
            outcome.c.stage == EMBED,
            outcome.c.key.like(sa.literal("%:").concat(sa.cast(content.c.text_version, sa.Text))),
        )
        of = description_run_content.c
        described = sa.exists().where(of.content_id == content.c.id, of.state == RunContentState.DONE)
        with self._database.reading() as connection:
            self._ids |= set(
                connection.execute(sa.select(content.c.id).where(described, ~up_to_date)).scalars()
            )

    def add(self, content_id: int) -> None:
        """Note that a content was described; embed at once if many are waiting."""
        self._ids.add(content_id)
        if len(self._ids) >= MAX_WAITING:
            self.embed()

    def embed(self) -> None:
        """Embed everything that waits; what another worker embeds just now, or nobody can, is left to it."""
        waiting = sorted(self._ids)
        self._ids.clear()
        if not waiting or (embedder := self._embedder) is None:
            return
        work = EmbedWork(embedder, self._database)
        outcomes = Outcomes(
            self._database,
            self._ledger,
            Unreported(),
            {EMBED: StageReport()},
            renew_after_s=self._settings.index.lease_s / 4,
        )
        for start in range(0, len(waiting), work.contents_per_lease):
            some = waiting[start : start + work.contents_per_lease]
            stage = Stage(EMBED, embedder.key, follows_text=True, only=content.c.id.in_(some))
            with self._database.writing() as connection:
                tasks = self._ledger.take(connection, [stage], len(some))
            for _ in work.work((OpenedContent(task) for task in tasks), outcomes):
                pass
