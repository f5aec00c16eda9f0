"""The callback that reports progress."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float], None]  # the fraction done, 0 to 1; called in any thread
