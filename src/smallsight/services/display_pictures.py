"""Pictures of the library at the sizes that pages show, made in the sandbox on first use and kept on disk."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.thumbnails import store_thumbnail, thumbnail_path
from smallsight.media.decoder import PictureDecoder
from smallsight.media.large_files import LargeFile, read_or_open
from smallsight.media.moments import as_tiff, still_of
from smallsight.media.video import VideoReader
from smallsight.media.video_formats import is_container
from smallsight.settings import Limits, Settings

SIDES_PX = (320, 640, 1600)
_NUM_THREADS = 2
_JPEG_QUALITY = 85


class DisplayPictures:
    """Makes and finds them; one decoding process for each of two threads. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = threading.local()
        self._decoders: list[PictureDecoder] = []
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-display")
        self._being_made: dict[tuple[str, int], asyncio.Future[Path]] = {}

    def known(self, sha256: str, side_px: int) -> Path | None:
        """Return the file of a picture at a size, None if it has not been made."""
        path = self._path(sha256, side_px)
        return path if path.is_file() else None

    async def make(self, database: Database, sha256: str, side_px: int) -> Path:
        """Return the file of a picture at a size, making it first; concurrent calls share the work.

        Raises ArgumentError for another size, NotInLibraryError, and subclasses of PictureError.
        """
        if side_px not in SIDES_PX:
            raise ArgumentError(f"There is no size of {side_px} pixels.", hint=f"use one of {SIDES_PX}.")
        key = sha256, side_px
        if (making := self._being_made.get(key)) is None:
            loop = asyncio.get_running_loop()
            making = loop.run_in_executor(self._threads, self._make, database, sha256, side_px)
            self._being_made[key] = making
            making.add_done_callback(lambda _: self._being_made.pop(key, None))
        return await asyncio.shield(making)

    async def as_jpeg(self, path: Path) -> bytes:
        """Return a file that ``make`` returned as JPEG, for browsers without WebP."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._as_jpeg, path)

    def close(self) -> None:
        """Stop the threads and their decoding processes."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()

    def _path(self, sha256: str, side_px: int) -> Path:
        is_indexed = side_px == self._settings.index.thumbnail_side_px
        return thumbnail_path(self._settings.thumbnails_dir, sha256, None if is_indexed else side_px)

    def _make(self, database: Database, sha256: str, side_px: int) -> Path:
        path = self._path(sha256, side_px)
        limits = self._settings.limits
        data = read_or_open(file_of(database, sha256), limits)
        if isinstance(data, LargeFile):
            with data:
                data = _still_of(data, limits)
        elif is_container(data):
            data = _still_of(data, limits)
        decoded = self._decoder().decode(data, thumbnail_side_px=side_px)
        assert decoded.thumbnail_webp is not None  # noqa: S101 - for the type checker: it was requested
        store_thumbnail(path, decoded.thumbnail_webp)
        return path

    def _as_jpeg(self, path: Path) -> bytes:
        decoded = self._decoder().decode(path.read_bytes(), max_side_px=max(SIDES_PX))
        assert decoded.image_HWC is not None  # noqa: S101 - for the type checker: it was requested
        out = io.BytesIO()
        Image.fromarray(decoded.image_HWC).save(out, "JPEG", quality=_JPEG_QUALITY)
        return out.getvalue()

    def _decoder(self) -> PictureDecoder:
        # A decoding process ends with the thread that started it, so each thread keeps its own.
        decoder: PictureDecoder | None = getattr(self._own, "decoder", None)
        if decoder is None:
            decoder = self._own.decoder = PictureDecoder(self._settings.limits)
            self._decoders.append(decoder)
        return decoder


def _still_of(video: bytes | LargeFile, limits: Limits) -> bytes:
    """Return the still of a video as the file of a picture."""
    with VideoReader(video, limits) as reader:
        return as_tiff(still_of(reader).pixels_HWC)


def file_of(database: Database, sha256: str) -> Path:
    """Return a present file with these bytes; raises NotInLibraryError."""
    with database.cursor() as cursor:
        row = cursor.execute(
            """SELECT folder.path, picture.path FROM content
               JOIN picture ON picture.content_id = content.id JOIN folder ON folder.id = picture.folder_id
               WHERE content.sha256 = ? AND picture.vanished_at_s IS NULL ORDER BY picture.id LIMIT 1""",
            (sha256,),
        ).fetchone()
    if row is None:
        raise NotInLibraryError("There is no such picture in the library.")
    folder, below = row
    return Path(folder, below)
