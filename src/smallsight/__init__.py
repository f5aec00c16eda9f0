"""Smallsight: find, describe and question your pictures with small vision-language models.

Importing this package loads nothing heavy: neither OpenVINO, nor a database, nor a web stack.
"""

import sys
from typing import TYPE_CHECKING, Any

from smallsight.version import __version__

# Importing openvino reports the import to its makers (2026.4.1): it keeps an id and counts in the home folder
# and sends them. Without this package it uses a stub that does nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as a failed import is marked

if TYPE_CHECKING:
    from smallsight.errors import (
        LibraryError,
        ModelError,
        PictureError,
        SettingsError,
        SmallsightError,
        UnknownModelError,
    )
    from smallsight.model.answer import Answer
    from smallsight.model.loading import load

__all__ = [
    "Answer",
    "LibraryError",
    "ModelError",
    "PictureError",
    "SettingsError",
    "SmallsightError",
    "UnknownModelError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import heavy parts on first use."""
    if name == "load":
        from smallsight.model.loading import load  # noqa: PLC0415 - importing the package stays light

        return load
    if name == "Answer":
        from smallsight.model.answer import Answer  # noqa: PLC0415 - as above

        return Answer
    if name.endswith("Error"):
        from smallsight import errors  # noqa: PLC0415 - as above

        if hasattr(errors, name):  # every error; the commonest are listed
            return getattr(errors, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
