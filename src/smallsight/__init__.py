"""Smallsight: find, describe and question your pictures with small vision-language models.

Importing this package loads nothing heavy: neither OpenVINO, nor a database, nor a web stack.
"""

from __future__ import annotations

import sys

from smallsight.version import __version__

# Importing openvino reports the import to its makers (2026.4.1): it keeps an id and counts in the home folder
# and sends them. Without this package it uses a stub that does nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as a failed import is marked

TYPE_CHECKING = False  # typing would be most of the time in which Ctrl-C at the start prints a traceback
if TYPE_CHECKING:
    from typing import Any

    from smallsight.engine.scores import Scores
    from smallsight.errors import (
        LibraryError,
        ModelError,
        PictureError,
        SettingsError,
        SmallsightError,
        UnknownModelError,
    )
    from smallsight.library.edit_journal import JournalEntry
    from smallsight.library.library import FolderSummary
    from smallsight.library.tags import TagCount
    from smallsight.model.answer import Answer
    from smallsight.model.embedding_model import EmbeddingModel, load_embedding_model
    from smallsight.model.loading import load
    from smallsight.services.library_results import (
        DuplicateGroups,
        EditResult,
        FoundPicture,
        FoundPictures,
        IndexProgress,
        IndexResult,
        PictureInfo,
        SkippedPicture,
        UndoResult,
    )
    from smallsight.services.picture_library import PictureLibrary, open_library
    from smallsight.services.picture_suggestions import TagSuggestion

__all__ = [
    "Answer",
    "DuplicateGroups",
    "EditResult",
    "EmbeddingModel",
    "FolderSummary",
    "FoundPicture",
    "FoundPictures",
    "IndexProgress",
    "IndexResult",
    "JournalEntry",
    "LibraryError",
    "ModelError",
    "PictureError",
    "PictureInfo",
    "PictureLibrary",
    "Scores",
    "SettingsError",
    "SkippedPicture",
    "SmallsightError",
    "TagCount",
    "TagSuggestion",
    "UndoResult",
    "UnknownModelError",
    "__version__",
    "load",
    "load_embedding_model",
    "open_library",
]

_MODULES = {
    "Answer": "model.answer",
    "EmbeddingModel": "model.embedding_model",
    "FolderSummary": "library.library",
    "JournalEntry": "library.edit_journal",
    "PictureLibrary": "services.picture_library",
    "Scores": "engine.scores",
    "TagCount": "library.tags",
    "TagSuggestion": "services.picture_suggestions",
    "load": "model.loading",
    "load_embedding_model": "model.embedding_model",
    "open_library": "services.picture_library",
    **dict.fromkeys(
        (
            *(
                "DuplicateGroups",
                "EditResult",
                "FoundPicture",
                "FoundPictures",
                "IndexProgress",
                "IndexResult",
            ),
            *("PictureInfo", "SkippedPicture", "UndoResult"),
        ),
        "services.library_results",
    ),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import heavy parts on first use."""
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415 - importing the package stays light

        return getattr(import_module(f"smallsight.{_MODULES[name]}"), name)
    if name.endswith("Error"):
        from smallsight import errors  # noqa: PLC0415 - as above

        if hasattr(errors, name):  # every error; the commonest are listed
            return getattr(errors, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
