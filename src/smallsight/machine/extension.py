"""Finds the optional extension ``smallsight_kernels``, which is installed separately from ``kernels/``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from types import ModuleType

NAME = "smallsight_kernels"
INTERFACE = 4  # of the extension that this code calls


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
    if getattr(module, "INTERFACE", None) != INTERFACE:
        return Extension(None, reason="the installed smallsight-kernels is of another version")
    path = str(module.path_name("auto"))
    if path == "plain":
        return Extension(None, reason="smallsight-kernels has no fast code for this processor")
    return Extension(module, path)
