"""Finds the optional extension ``smallsight_kernels``, which is installed separately from ``kernels/``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from types import ModuleType

NAME = "smallsight_kernels"
_NEEDED = ("Decoder", "MAX_PIECES", "path_name")


@dataclass(frozen=True, eq=False)
class Extension:
    """The extension's module, or why it cannot be used; ``path`` names its code for this processor."""

    module: ModuleType | None
    path: str = ""
    reason: str = ""


@cache
def find_extension() -> Extension:
    """Import the extension once, and say why where that fails."""
    try:
        module = importlib.import_module(NAME)
    except ModuleNotFoundError:
        return Extension(None, reason="smallsight-kernels is not installed")
    except ImportError as error:
        return Extension(None, reason=f"smallsight-kernels cannot be loaded: {error}")
    if missing := [name for name in _NEEDED if not hasattr(module, name)]:
        return Extension(None, reason=f"the installed smallsight-kernels lacks {missing[0]}")
    path = str(module.path_name("auto"))
    if path == "plain":
        return Extension(None, reason="smallsight-kernels has no fast code for this processor")
    return Extension(module, path)
