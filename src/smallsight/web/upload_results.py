"""What became of the files of a form, kept for the page that is shown after it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

_MAX_KEPT = 50


@dataclass(frozen=True, slots=True)
class UploadResult:
    """What became of one file, for a person; ``problem`` is empty if it is in the library."""

    name: str
    is_duplicate: bool = False
    address: str | None = None
    problem: str = ""


@dataclass(slots=True)
class UploadResults:
    """The results of the last forms, by random keys."""

    _kept: dict[str, tuple[UploadResult, ...]] = field(default_factory=dict)

    def keep(self, results: Sequence[UploadResult]) -> str:
        """Keep results, and return their key."""
        key = secrets.token_urlsafe(16)
        self._kept[key] = tuple(results)
        while len(self._kept) > _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        return key

    def find(self, key: str) -> tuple[UploadResult, ...]:
        """Return the results with a key; none after a while."""
        return self._kept.get(key, ())
