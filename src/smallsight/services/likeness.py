"""Finds what pictures can be compared with one that need not be in the library: its look and its texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from smallsight.errors import NotInLibraryError, PictureError, UnsupportedFormatError
from smallsight.library.misreadings import without_misreadings
from smallsight.library.schema import content, picture, picture_vector
from smallsight.library.search.likeness import Likeness
from smallsight.library.search.searcher import SearchResult
from smallsight.library.search.text_index import Sort
from smallsight.library.texts import EmbeddableTexts, chunk_texts
from smallsight.media.decoder import PictureDecoder
from smallsight.media.file_kinds import FileKind, kind_of_file
from smallsight.media.files import read_picture_file
from smallsight.media.reading_size import is_paged
from smallsight.reading.pages import read_pages
from smallsight.reading.text_reader import TextReader, is_reading_available

if TYPE_CHECKING:
    from smallsight.media.picture import DecodedPicture
    from smallsight.services.application import Application
    from smallsight.settings import Settings


def find_similar(
    application: Application,
    settings: Settings,
    path: Path,
    words: str,
    limit: int | None,
    sort: Sort = Sort.RELEVANCE,
) -> SearchResult:
    """Return the pictures of the library most like the file at path, which may be anywhere.

    Its text is read only if it is not in the library. Raises subclasses of PictureError.
    """
    path = path.expanduser()
    with suppress(NotInLibraryError):  # of the path, or of all files with what was there
        content_id = application.library.find_content(path)
        return application.searcher.similar(content_id, words=words, limit=limit, sort=sort)
    with suppress(OSError):  # of a path that this user may not look at, which reading it tells
        _refuse_video(path)
    data = read_picture_file(path, settings.limits)
    if (known := content_with(application, hashlib.sha256(data).hexdigest())) is not None:
        return application.searcher.similar(known, words=words, limit=limit, sort=sort)
    likeness = likeness_of_bytes(application, settings, data, path)
    return application.searcher.similar_to(likeness, words=words, limit=limit, sort=sort)


def _refuse_video(path: Path) -> None:
    if path.is_file() and kind_of_file(path) is FileKind.VIDEO:
        raise UnsupportedFormatError(
            f"A video cannot be compared with pictures: {path}", hint="give one of its frames, as a picture."
        )


def content_with(application: Application, sha256: str) -> int | None:
    """Return the content with these bytes that has a file, None if there is none."""
    statement = (
        sa.select(content.c.id)
        .join(picture, picture.c.content_id == content.c.id)
        .where(content.c.sha256 == sha256, picture.c.vanished_at_s.is_(None))
    )
    with application.database.reading() as connection:
        return connection.execute(statement.limit(1)).scalar()


def likeness_of_bytes(application: Application, settings: Settings, data: bytes, path: Path) -> Likeness:
    """Return what a picture looks like; its text is read if it can be. Raises subclasses of PictureError."""
    embedder = application.query_embedder
    reads = embedder is not None and settings.index.ocr and is_reading_available()
    side_px = settings.index.ocr_max_side_px
    words = application.picture_words() if _has_looks(application) else None
    try:
        with PictureDecoder(settings.limits) as decoder:
            decoded = decoder.decode(
                data,
                max_side_px=side_px if reads else None,
                wants_hashes=True,
                wants_pages=reads,
                wants_full_size=words is not None,
            )
    except PictureError as error:
        raise type(error)(f"{path}: {error.message}", hint=error.hint) from error
    vectors: Sequence[np.ndarray] = ()
    if embedder is not None and reads:
        texts = chunk_texts(EmbeddableTexts(_text_of(decoded, settings), None, (), (path.name,)))
        vectors = list(embedder.embed(texts)) if texts else ()
    if words is None or decoded.full_size_HWC is None:
        return Likeness(decoded.phash, decoded.dhash, vectors)
    look_D = words.embedder.embed_pictures([decoded.full_size_HWC])[0]
    return Likeness(decoded.phash, decoded.dhash, vectors, None, look_D, words.key)


def _has_looks(application: Application) -> bool:
    """Return whether any picture has a vector of a picture embedding model."""
    with application.database.reading() as connection:
        return connection.execute(sa.select(picture_vector.c.id).limit(1)).first() is not None


def _text_of(decoded: DecodedPicture, settings: Settings) -> str:
    with TextReader(settings) as reader:
        lines = read_pages(
            decoded.pages_HWC,
            reader.read,
            are_moments=not is_paged(decoded.format),
        )
    return "\n".join(line.text for line in without_misreadings(lines))
