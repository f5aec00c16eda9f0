"""Opens contents for the stages: each file is read once and decoded once, whichever stages are due."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

from smallsight.errors import DecoderFailedError, PictureError, PictureNotFoundError, UnexpectedPictureError
from smallsight.library.database import Database
from smallsight.library.ledger import StageName, Task
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.opened_video import VideoOpener
from smallsight.library.read_files import ReadFiles
from smallsight.media.child_process import ChildStop
from smallsight.media.decoder import PictureDecoder
from smallsight.media.large_files import LargeFile, read_or_open
from smallsight.media.picture import DecodedPicture
from smallsight.media.video_formats import is_animation, is_container
from smallsight.policy.log import get_logger
from smallsight.settings import Settings

log = get_logger(__name__)

_PICTURES_AT_ONCE = 2  # opened ahead, of what stages hold
_LOOK_UP_S = 0.5  # between questions whether to stop, while a file is opened
_FULL_SIZE_AT_ONCE = 2  # each may take three bytes times limits.max_image_pixels
_FILES = """SELECT folder.path, picture.path, picture.size_bytes, picture.mtime_ns
    FROM picture JOIN folder ON folder.id = picture.folder_id
    WHERE picture.content_id = ? AND picture.vanished_at_s IS NULL ORDER BY picture.id"""


@dataclass(frozen=True, slots=True)
class _ContentFile:
    path: Path
    size_bytes: int
    mtime_ns: int

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Return whether it is the file that was scanned; reading a large video again would take too long."""
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.mtime_ns)


class ContentOpener:
    """Opens the contents of tasks in order, a few ahead in a separate thread.

    ``needs`` maps each stage to what it needs of a picture; a task is opened for its due stages.
    """

    def __init__(
        self, database: Database, settings: Settings, files: ReadFiles, needs: Mapping[StageName, Needs]
    ) -> None:
        self._database = database
        self._settings = settings
        self._files = files
        self._needs = needs
        self._video_stop = ChildStop()
        self._videos = VideoOpener(
            settings.limits,
            settings.index.ocr_max_side_px,
            settings.index.thumbnail_side_px,
            self._video_stop,
        )

    def open_all(
        self, tasks: Iterator[Task], should_stop: Callable[[], bool]
    ) -> Generator[OpenedContent, None, None]:
        """Yield every task's content, opened or with the error, until should_stop returns True."""
        if not any(self._needs.values()):
            while not should_stop() and (task := next(tasks, None)) is not None:
                yield OpenedContent(task)
            return
        wants_full_size = any(Needs.FULL_SIZE in needs for needs in self._needs.values())
        at_once = _FULL_SIZE_AT_ONCE if wants_full_size else _PICTURES_AT_ONCE
        opening: deque[Future[OpenedContent]] = deque()
        with PictureDecoder(self._settings.limits) as decoder, ThreadPoolExecutor(1, "decode") as pool:
            try:
                while not should_stop():
                    while len(opening) < at_once and (task := next(tasks, None)) is not None:
                        opening.append(pool.submit(self._open, decoder, task))
                    if not opening:
                        return
                    if wait([opening[0]], _LOOK_UP_S).done:  # a video may take minutes
                        yield opening.popleft().result()
            finally:
                for future in opening:
                    future.cancel()
                self._video_stop.call()

    def _open(self, decoder: PictureDecoder, task: Task) -> OpenedContent:
        """Find, read and decode one content; runs in the decoding thread and writes nothing."""
        started_s = time.perf_counter()
        files = self._files_of(task)
        content = OpenedContent(task, files[0].path if files else Path())
        try:
            data = self._data_of(task, files)
            if isinstance(data, LargeFile):
                with data:
                    self._decode_large(decoder, content, data)
            else:
                self._decode(decoder, content, data)
        except PictureError as error:
            content.error = error
        except Exception as error:
            log.info("picture_unexpected", path=str(content.path), exc_info=True)
            content.error = UnexpectedPictureError.of(error)
        content.opening_s = time.perf_counter() - started_s
        return content

    def _decode(self, decoder: PictureDecoder, content: OpenedContent, data: bytes) -> None:
        """Decode what the due stages need.

        A model that supports videos gets a video or an animation as its file, because only the model knows
        which frames it uses, and at what size.
        """
        due = [self._needs[stage] for stage in content.task.keys]
        is_video = is_container(data)
        if any(Needs.MOVING in one for one in due) and (is_video or is_animation(data)):
            content.file = data
            due = [one for one in due if Needs.MOVING not in one]
        needs = reduce(or_, due, Needs.NOTHING)
        if Needs.FRAMES in needs:
            self._decode_frames(content, data)
        if is_video:
            content.picture = self._videos.picture(decoder, data, needs)
        else:
            self._decode_picture(decoder, content, data, needs)
        if Needs.METADATA in needs:
            try:
                content.words = decoder.read_words(data)
            except PictureError as error:
                content.words = error

    def _decode_large(self, decoder: PictureDecoder, content: OpenedContent, video: LargeFile) -> None:
        """Decode what due stages need of a large video; a model gets its still, and metadata is not read."""
        needs = reduce(or_, [self._needs[stage] for stage in content.task.keys], Needs.NOTHING)
        if Needs.FRAMES in needs:
            self._decode_frames(content, video)
        content.picture = self._videos.picture(decoder, video, needs)

    def _decode_picture(
        self, decoder: PictureDecoder, content: OpenedContent, data: bytes, needs: Needs
    ) -> None:
        wants_full_size = Needs.FULL_SIZE in needs
        try:
            content.picture = self._decoded(decoder, data, needs, wants_full_size=wants_full_size)
        except DecoderFailedError as error:
            if not wants_full_size or needs & (Needs.FACTS | Needs.READABLE) == Needs.NOTHING:
                raise
            # Even if all pixels take too much memory or time, a reduced picture may not.
            content.picture = self._decoded(decoder, data, needs, wants_full_size=False)
            content.full_size_error = error

    def _decode_frames(self, content: OpenedContent, data: bytes | LargeFile) -> None:
        try:
            content.frames = self._videos.frames(data)
        except PictureError as error:
            content.frames_error = error

    def _decoded(
        self, decoder: PictureDecoder, data: bytes, needs: Needs, *, wants_full_size: bool
    ) -> DecodedPicture | None:
        wants_facts, is_read = Needs.FACTS in needs, Needs.READABLE in needs
        if not (wants_facts or is_read or wants_full_size):
            return None
        settings = self._settings
        return decoder.decode(
            data,
            max_side_px=settings.index.ocr_max_side_px if is_read else None,
            thumbnail_side_px=settings.index.thumbnail_side_px if wants_facts else None,
            wants_hashes=wants_facts,
            wants_full_size=wants_full_size,
            wants_pages=is_read,
        )

    def _files_of(self, task: Task) -> list[_ContentFile]:
        """Return the files that had the task's content when they were scanned and have not vanished since."""
        with self._database.cursor() as cursor:
            rows = cursor.execute(_FILES, (task.content_id,)).fetchall()
        return [_ContentFile(Path(above, below), size, mtime_ns) for above, below, size, mtime_ns in rows]

    def _data_of(self, task: Task, files: Sequence[_ContentFile]) -> bytes | LargeFile:
        """Return the bytes that the scan has kept, or the first file that still has the content."""
        if (kept := self._files.take(task.sha256)) is not None:
            return kept
        for one in files:
            try:
                data = read_or_open(one.path, self._settings.limits)
            except PictureNotFoundError:
                continue
            if isinstance(data, LargeFile):
                if one.is_unchanged(os.fstat(data.file.fileno())):
                    return data
                data.file.close()
            elif hashlib.sha256(data).hexdigest() == task.sha256:
                return data
        raise PictureNotFoundError(
            "The file changed or vanished since it was scanned.", hint="run `smallsight index` again."
        )
