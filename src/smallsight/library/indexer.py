"""Fills the library: looks at pictures, reads, describes, tags and embeds them, and can stop at any moment.

Owns the order of the work and what is stored in one transaction. Decoding and reading happen in other
processes; this one only moves results into the database.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from smallsight.errors import PictureError, PictureNotFoundError, SmallsightError
from smallsight.library.database import Database
from smallsight.library.describing import PictureDescribing
from smallsight.library.embedding import TextEmbedding, store_vectors, texts_to_embed
from smallsight.library.ledger import (
    Ledger,
    Stage,
    StageName,
    Task,
    count_due,
    drop_abandoned_leases,
)
from smallsight.library.progress import Progress
from smallsight.library.reading import TextReading
from smallsight.library.schema import content, folder, picture
from smallsight.library.search.sqlite.search_text import refresh_search_text
from smallsight.library.tagging import PictureTagging, TaggedPicture, TagRequest
from smallsight.library.texts import renew_text_version, store_description, store_lines, store_machine_tags
from smallsight.library.thumbnails import store_thumbnail
from smallsight.media.decoder import PictureDecoder
from smallsight.media.files import read_picture_file
from smallsight.media.picture import DecodedPicture
from smallsight.model.picture_argument import NamedBytes
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

LOOK_KEY = "look-1"
_PICTURES_PER_LEASE = 16
_PICTURES_AHEAD = 3  # decoded while the one before is being read
_CONTENTS_PER_EMBEDDING = 256


@dataclass(slots=True)
class StageReport:
    """How one stage went; ``seconds`` is work, not waiting."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class IndexReport:
    """How a run of the indexer went."""

    look: StageReport = field(default_factory=StageReport)
    read: StageReport = field(default_factory=StageReport)
    describe: StageReport = field(default_factory=StageReport)
    tag: StageReport = field(default_factory=StageReport)
    embed: StageReport = field(default_factory=StageReport)
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the decoding side hands over for one task: a picture or an error, and how long it took."""

    picture: DecodedPicture | None
    error: PictureError | None
    path: str
    seconds: float


class Indexer:
    """Does all the due work it has the means for: looking always, the other stages if given their part."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        reader: TextReading | None,
        embedder: TextEmbedding | None,
        describer: PictureDescribing | None = None,
        tagger: PictureTagging | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._reader = reader
        self._embedder = embedder
        self._describer = describer
        self._tagger = tagger
        self._ledger = Ledger(uuid.uuid4().hex, settings.index.lease_s)
        self._report = IndexReport()

    def run(self, observer: Progress, should_stop: Callable[[], bool]) -> IndexReport:
        """Work until nothing is due or should_stop says so; what is finished by then is stored."""
        with self._database.writing() as connection:
            drop_abandoned_leases(connection)
        try:
            self._look_and_read(observer, should_stop)
            if not should_stop():
                self._describe(observer, should_stop)
            if not should_stop():
                self._tag(observer, should_stop)
            if not should_stop():
                self._embed(observer, should_stop)
        finally:
            with self._database.writing() as connection:
                self._ledger.give_back(connection)
        self._report.is_complete = not should_stop()
        return self._report

    def _look_and_read(self, observer: Progress, should_stop: Callable[[], bool]) -> None:
        stages = [Stage(StageName.LOOK, LOOK_KEY)]
        if self._reader is not None:
            stages.append(Stage(StageName.READ, self._reader.key))
        with self._database.reading() as connection:
            total = count_due(connection, stages)
        if not total:
            return
        observer.begin("Reading pictures" if self._reader else "Looking at pictures", total, "pictures")
        try:
            with PictureDecoder(self._settings.limits) as decoder, ThreadPoolExecutor(1, "decode") as pool:
                for task, looked in self._decoded(pool, decoder, stages, should_stop):
                    self._store_look(task, looked, observer)
                    if StageName.READ in task.keys and looked.picture is not None:
                        self._read(task, looked, observer)
                    observer.advance()
                    if should_stop():
                        break
        finally:
            observer.end()

    def _decoded(
        self,
        pool: ThreadPoolExecutor,
        decoder: PictureDecoder,
        stages: Sequence[Stage],
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[Task, _Looked]]:
        """Yield tasks with their pictures in order, decoding a few ahead in the pool's thread."""
        tasks = self._tasks(stages, _PICTURES_PER_LEASE)
        ahead: deque[tuple[Task, Future[_Looked]]] = deque()
        while not should_stop():
            while len(ahead) < _PICTURES_AHEAD and (task := next(tasks, None)) is not None:
                ahead.append((task, pool.submit(self._look, decoder, task)))
            if not ahead:
                return
            task, future = ahead.popleft()
            yield task, future.result()
        for _, future in ahead:
            future.cancel()

    def _tasks(self, stages: Sequence[Stage], per_lease: int) -> Iterator[Task]:
        """Lease and yield tasks by ascending id, and once more from the start for what came due since."""
        after_id = 0
        while True:
            with self._database.writing() as connection:
                taken = self._ledger.take(connection, stages, per_lease, after_id)
            if taken:
                after_id = taken[-1].content_id
                yield from taken
            elif after_id:
                after_id = 0
            else:
                return

    def _look(self, decoder: PictureDecoder, task: Task) -> _Looked:
        """Find, read and decode one content; runs in the decoding thread and touches no writer."""
        started_s = time.perf_counter()
        paths = self._paths_of(task)
        decoded: DecodedPicture | None = None
        error: PictureError | None = None
        try:
            decoded = decoder.decode(
                self._bytes_of(task, paths),
                max_side_px=self._settings.index.ocr_max_side_px if StageName.READ in task.keys else None,
                thumbnail_side_px=self._settings.index.thumbnail_side_px,
            )
        except PictureError as failure:
            error = failure
        return _Looked(decoded, error, str(paths[0]), time.perf_counter() - started_s)

    def _paths_of(self, task: Task) -> list[Path]:
        """Return the files that had the task's content when they were scanned; there is at least one."""
        with self._database.reading() as connection:
            places = connection.execute(
                sa.select(folder.c.path, picture.c.path.label("below"))
                .join(folder, folder.c.id == picture.c.folder_id)
                .where(picture.c.content_id == task.content_id, picture.c.vanished_at_s.is_(None))
                .order_by(picture.c.id)
            )
            return [Path(place.path, place.below) for place in places]

    def _bytes_of(self, task: Task, paths: Sequence[Path]) -> bytes:
        """Return the bytes of the first file that still has the task's content."""
        for path in paths:
            try:
                data = read_picture_file(path, self._settings.limits)
            except PictureNotFoundError:
                continue
            if hashlib.sha256(data).hexdigest() == task.sha256:
                return data
        raise PictureNotFoundError(
            "The file changed or vanished since it was scanned.", hint="run `smallsight index` again."
        )

    def _store_look(self, task: Task, looked: _Looked, observer: Progress) -> None:
        if isinstance(looked.error, PictureNotFoundError):
            observer.problem(looked.path, looked.error)
            return  # no outcome: the next scan finds out what became of the file
        if StageName.LOOK not in task.keys and looked.error is None:
            return
        if looked.picture is not None and looked.picture.thumbnail_webp is not None:
            store_thumbnail(self._settings.thumbnails_dir, task.sha256, looked.picture.thumbnail_webp)
        with self._database.writing() as connection:
            if looked.picture is not None:
                _store_facts(connection, task.content_id, looked.picture)
            for stage in task.keys if looked.error is not None else (StageName.LOOK,):
                self._ledger.finish(connection, task, stage, looked.seconds, looked.error)
        self._count(self._report.look, looked.seconds, looked.error)
        if looked.error is not None:
            observer.problem(looked.path, looked.error)

    def _read(self, task: Task, looked: _Looked, observer: Progress) -> None:
        if self._reader is None or looked.picture is None or looked.picture.image_HWC is None:
            return
        started_s = time.perf_counter()
        lines: Sequence[TextLine] = ()
        error: SmallsightError | None = None
        try:
            lines = self._reader.read(looked.picture.image_HWC)
        except PictureError as failure:
            error = failure
            observer.problem(looked.path, failure)
        seconds = time.perf_counter() - started_s
        with self._database.writing() as connection:
            self._ledger.finish(connection, task, StageName.READ, seconds, error)
            if error is None:
                store_lines(connection, task.content_id, lines, self._settings.limits.max_text_chars)
                if lines:
                    renew_text_version(connection, [task.content_id])
                    refresh_search_text(connection, [task.content_id])
        self._count(self._report.read, seconds, error)

    def _describe(self, observer: Progress, should_stop: Callable[[], bool]) -> None:
        if self._describer is None:
            return
        folders = tuple(path.expanduser().resolve().as_posix() for path in self._settings.describe.folders)
        stage = Stage(StageName.DESCRIBE, self._describer.key, folders=folders)
        with self._database.reading() as connection:
            total = count_due(connection, [stage])
        if not total:
            return
        observer.begin("Describing pictures", total, "pictures")
        given: deque[tuple[Task, str]] = deque()  # to the describer and not yet answered, in order
        pictures = self._pictures_to_show([stage], given, observer, should_stop)
        described = self._describer.describe(picture for _, picture in pictures)
        try:
            started_s = time.perf_counter()
            for answer in described:
                task, path = given.popleft()
                ended_s = time.perf_counter()
                self._store_description(task, answer, self._describer.model_name, ended_s - started_s)
                if isinstance(answer, SmallsightError):
                    observer.problem(path, answer)
                observer.advance()
                started_s = ended_s
                if should_stop():
                    break
        finally:
            described.close()
            observer.end()

    def _pictures_to_show(
        self,
        stages: Sequence[Stage],
        given: deque[tuple[Task, str]],
        observer: Progress,
        should_stop: Callable[[], bool],
    ) -> Iterator[tuple[Task, NamedBytes]]:
        """Lease and read pictures one by one, as the model asks for them, and note which were given."""
        for task in self._tasks(stages, _PICTURES_PER_LEASE):
            if should_stop():
                return
            paths = self._paths_of(task)
            try:
                data = self._bytes_of(task, paths)
            except PictureError as error:
                observer.problem(
                    str(paths[0]), error
                )  # no outcome: the next scan finds out what became of it
                observer.advance()
                continue
            given.append((task, str(paths[0])))
            yield task, NamedBytes(paths[0].name, data)

    def _store_description(
        self, task: Task, answer: str | SmallsightError, model_name: str, seconds: float
    ) -> None:
        error = answer if isinstance(answer, SmallsightError) else None
        max_chars = self._settings.limits.max_text_chars
        with self._database.writing() as connection:
            self._ledger.finish(connection, task, StageName.DESCRIBE, seconds, error)
            self._ledger.renew(connection)
            if isinstance(answer, str) and store_description(
                connection, task.content_id, answer, model_name, max_chars
            ):
                renew_text_version(connection, [task.content_id])
                refresh_search_text(connection, [task.content_id])
        self._count(self._report.describe, seconds, error)

    def _tag(self, observer: Progress, should_stop: Callable[[], bool]) -> None:
        """Tag what lacks tags, and read it where no reader did."""
        if self._tagger is None:
            return
        stages = [Stage(StageName.TAG, self._tagger.key)]
        if self._reader is None:
            stages.append(Stage(StageName.READ, self._tagger.reading_key))
        with self._database.reading() as connection:
            total = count_due(connection, stages)
        if not total:
            return
        observer.begin("Tagging pictures", total, "pictures")
        given: deque[tuple[Task, str]] = deque()  # to the tagger and not yet answered, in order
        tagged = self._tagger.tag(
            TagRequest(picture, StageName.TAG in task.keys, StageName.READ in task.keys)
            for task, picture in self._pictures_to_show(stages, given, observer, should_stop)
        )
        try:
            started_s = time.perf_counter()
            for found in tagged:
                task, path = given.popleft()
                ended_s = time.perf_counter()
                self._store_tagged(task, path, found, ended_s - started_s, observer)
                observer.advance()
                started_s = ended_s
                if should_stop():
                    break
        finally:
            tagged.close()
            observer.end()

    def _store_tagged(
        self, task: Task, path: str, found: TaggedPicture, seconds: float, observer: Progress
    ) -> None:
        """Store tags and lines, whichever were due; each stage is taken to have cost the same."""
        reports = {StageName.TAG: self._report.tag, StageName.READ: self._report.read}
        results = {StageName.TAG: found.tags, StageName.READ: found.lines}
        errors = {
            stage: result if isinstance(result := results[stage], SmallsightError) else None
            for stage in task.keys
        }
        has_changed = False
        with self._database.writing() as connection:
            for stage, error in errors.items():
                self._ledger.finish(connection, task, stage, seconds / len(errors), error)
            self._ledger.renew(connection)
            if isinstance(found.tags, tuple):
                has_changed |= store_machine_tags(connection, task.content_id, found.tags)
            if isinstance(found.lines, tuple):
                max_chars = self._settings.limits.max_text_chars
                has_changed |= store_lines(connection, task.content_id, found.lines, max_chars)
            if has_changed:
                renew_text_version(connection, [task.content_id])
                refresh_search_text(connection, [task.content_id])
        for stage, error in errors.items():
            self._count(reports[stage], seconds / len(errors), error)
        for problem in dict.fromkeys(error for error in errors.values() if error is not None):
            observer.problem(path, problem)

    def _embed(self, observer: Progress, should_stop: Callable[[], bool]) -> None:
        if self._embedder is None:
            return
        stage = Stage(StageName.EMBED, self._embedder.key, follows_text=True)
        with self._database.reading() as connection:
            total = count_due(connection, [stage])
        if not total:
            return
        observer.begin("Understanding texts", total, "pictures")
        try:
            tasks = self._tasks([stage], _CONTENTS_PER_EMBEDDING)
            while not should_stop() and (batch := list(islice(tasks, _CONTENTS_PER_EMBEDDING))):
                self._embed_batch(batch, self._embedder)
                observer.advance(len(batch))
        finally:
            observer.end()

    def _embed_batch(self, tasks: Sequence[Task], embedder: TextEmbedding) -> None:
        """Embed the texts of a batch of contents and store them at once."""
        started_s = time.perf_counter()
        content_ids = [task.content_id for task in tasks]
        with self._database.reading() as connection:
            texts = texts_to_embed(connection, content_ids)
        vectors_ND = embedder.embed([text for _, text in texts])
        seconds = time.perf_counter() - started_s
        with self._database.writing() as connection:
            for task in tasks:
                self._ledger.finish(connection, task, StageName.EMBED, seconds / len(tasks))
            store_vectors(connection, content_ids, texts, vectors_ND, embedder.key)
        self._report.embed.done += len(tasks)
        self._report.embed.seconds += seconds

    @staticmethod
    def _count(report: StageReport, seconds: float, error: SmallsightError | None) -> None:
        report.done += error is None
        report.failed += error is not None
        report.seconds += seconds


def _store_facts(connection: sa.Connection, content_id: int, decoded: DecodedPicture) -> None:
    connection.execute(
        content.update()
        .where(content.c.id == content_id)
        .values(
            format=decoded.format,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            num_frames=decoded.num_frames,
            phash=_as_signed(decoded.phash),
            dhash=_as_signed(decoded.dhash),
        )
    )


def _as_signed(bits: int) -> int:
    """Store 64 bits in SQLite's signed integer."""
    return int(np.uint64(bits).astype(np.int64))
