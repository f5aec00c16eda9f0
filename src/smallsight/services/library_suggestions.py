"""Suggested tags for the pages of a server: the vocabulary is read in a thread, and suggestions are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from smallsight.errors import SmallsightError
from smallsight.library.suggesting.suggested_tags import SuggestedTag, suggest_tags
from smallsight.services.opened_library import OpenedLibrary
from smallsight.services.tag_suggestions import TagSuggester, open_suggester
from smallsight.settings import Settings

_WAIT_S = 2.0  # within which vectors that are kept from before are there
_NAME = "smallsight-vocabulary"


@dataclass(slots=True)
class _Preparation:
    """One reading of a vocabulary, in its thread: how much is done, and how it ended."""

    key: tuple[object, ...]
    done: float = 0.0
    suggester: TagSuggester | None = None
    error: SmallsightError | None = None
    thread: threading.Thread | None = field(default=None, repr=False)


class LibrarySuggestions:
    """May be used from any thread. Close it at the end."""

    def __init__(self, settings: Callable[[], Settings], library: OpenedLibrary) -> None:
        self._settings = settings
        self._library = library
        self._turn = threading.Lock()
        self._preparation: _Preparation | None = None
        self._is_closed = threading.Event()

    def suggester(self) -> TagSuggester | float:
        """Return what tags are suggested with, or the share of the vocabulary that has been read, 0 to 1.

        Raises what ``open_suggester`` raises, and LibraryMissingError.
        """
        self._library.reading()  # raises without a library
        with self._turn:
            preparation = self._current()
        if preparation.thread is not None:
            preparation.thread.join(_WAIT_S)
        if preparation.error is not None:
            with self._turn:  # tried again the next time
                if self._preparation is preparation:
                    self._preparation = None
            raise preparation.error
        return preparation.done if preparation.suggester is None else preparation.suggester

    def all(self, suggester: TagSuggester, min_score: float) -> list[SuggestedTag]:
        """Return the suggestions for the whole library, computed once until it changes."""
        application = self._library.reading()
        return application.lists.get(
            ("suggested tags", suggester.vectors.embedder_key, suggester.vocabulary.digest, min_score),
            lambda: suggest_tags(application.database, suggester.vectors, min_score),
            may_lag=False,
        )

    def of(self, suggester: TagSuggester, content_id: int, min_score: float) -> list[SuggestedTag]:
        """Return the suggestions for one content."""
        return suggest_tags(self._library.reading().database, suggester.vectors, min_score, [content_id])

    def close(self) -> None:
        """Stop the thread."""
        self._is_closed.set()
        preparation = self._preparation
        if preparation is not None and preparation.thread is not None:
            preparation.thread.join()

    def _current(self) -> _Preparation:
        settings = self._settings()
        path = settings.tags.vocabulary
        try:
            changed = None if path is None else path.expanduser().stat().st_mtime_ns
        except OSError:  # reading it reports why
            changed = None
        key = (path, changed, settings.picture_embedding)
        if self._preparation is None or self._preparation.key != key:
            preparation = _Preparation(key)
            work = threading.Thread(target=self._prepare, args=(preparation, settings), name=_NAME)
            preparation.thread = work
            self._preparation = preparation
            work.start()
        return self._preparation

    def _prepare(self, preparation: _Preparation, settings: Settings) -> None:
        def note(done: float) -> None:
            preparation.done = done

        def should_stop() -> bool:
            return self._is_closed.is_set() or self._preparation is not preparation

        try:
            preparation.suggester = open_suggester(self._library.reading(), settings, note, should_stop)
        except SmallsightError as error:
            preparation.error = error
