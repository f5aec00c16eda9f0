"""Suggested tags for Python programs: ``smallsight.open_library(...).suggestions``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from smallsight.errors.argument_types import as_list, as_number, require_callback, require_instance
from smallsight.library.suggesting.suggested_pictures import suggested_pictures
from smallsight.library.suggesting.suggested_tags import (
    SuggestedTag,
    accept_suggestions,
    reject_suggestions,
    suggest_tags,
)
from smallsight.policy.progress import OnProgress
from smallsight.services.library_arguments import as_paths
from smallsight.services.library_results import EditResult
from smallsight.services.tag_suggestions import TagSuggester, open_suggester

if TYPE_CHECKING:
    from smallsight.library.edits import EditReport
    from smallsight.services.application import Application
    from smallsight.settings import Settings

__all__ = ["PictureSuggestions", "TagSuggestion"]

_OpenApplication: TypeAlias = Callable[[], "Application"]


@dataclass(frozen=True, slots=True)
class TagSuggestion:
    """A tag that a picture embedding model suggests for a picture; ``score`` is from 0 to 1.

    0.5 means that the model gives the tag an eighth of what it gives to the whole vocabulary.
    """

    path: Path
    tag: str
    score: float


class PictureSuggestions:
    """Suggests tags for the pictures of an open library; thread-safe.

    Methods raise ModelUnavailableError without a model or without embedded pictures, SettingsError for a
    vocabulary that cannot be used, and what the methods of the library raise.
    """

    def __init__(self, settings: Settings, reading: _OpenApplication, writing: _OpenApplication) -> None:
        """Take what returns the open library, for reading and for edits."""
        self._settings = settings
        self._reading = reading
        self._writing = writing

    def find(
        self,
        pictures: Iterable[str | os.PathLike[str]] | None = None,
        *,
        min_score: float | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> tuple[TagSuggestion, ...]:
        """Return what pictures may be tagged with, by default all, the best first for each.

        Tags that a picture has, and those that a person removed or rejected, are not among them.
        ``min_score`` is by default the setting tags.min_score. The first call with a vocabulary takes a
        minute, which ``on_progress`` reports.
        """
        least = self._settings.tags.min_score if min_score is None else min_score
        require_callback("on_progress", on_progress)
        least = as_number("min_score", least, 0, 1)
        application = self._reading()
        chosen = None if pictures is None else as_paths("pictures", pictures)
        ids = None if chosen is None else [application.library.find_content(path) for path in chosen]
        found = suggest_tags(application.database, self._suggester(on_progress).vectors, least, ids)
        shown = suggested_pictures(application.database, list({one.content_id: None for one in found}))
        return tuple(
            TagSuggestion(shown[one.content_id].path, one.tag, one.score)
            for one in found
            if one.content_id in shown
        )

    def accept(self, suggestions: Iterable[TagSuggestion]) -> EditResult:
        """Tag pictures as suggested, as one edit that can be undone."""
        chosen = self._of_contents(suggestions)
        model = self._suggester().model
        return self._edited(accept_suggestions(self._writing().database, chosen, model), chosen)

    def reject(self, suggestions: Iterable[TagSuggestion]) -> EditResult:
        """Never suggest these tags for these pictures again; one edit, which can be undone."""
        chosen = self._of_contents(suggestions)
        return self._edited(reject_suggestions(self._writing().database, chosen), chosen)

    def _suggester(self, on_progress: OnProgress = lambda _: None) -> TagSuggester:
        opened = open_suggester(self._reading(), self._settings, on_progress)
        assert opened is not None  # noqa: S101 - it is never stopped
        return opened

    def _of_contents(self, suggestions: Iterable[TagSuggestion]) -> list[SuggestedTag]:
        library = self._reading().library
        given = [
            require_instance("A suggestion", one, TagSuggestion, "pass those that find returned.")
            for one in as_list("suggestions", suggestions, "suggestions")
        ]
        return [SuggestedTag(library.find_content(one.path), one.tag, one.score) for one in given]

    def _edited(self, report: EditReport, chosen: list[SuggestedTag]) -> EditResult:
        ids = list(dict.fromkeys(one.content_id for one in chosen))
        shown = suggested_pictures(self._reading().database, ids)
        changed = tuple(shown[one].path for one in ids if one in shown and one in report.changed)
        unchanged = tuple(shown[one].path for one in ids if one in shown and one not in report.changed)
        return EditResult(report.edit_id, changed, unchanged)
