"""Decides when a file is no longer being written: once its size and time have been the same for a while."""

from __future__ import annotations

STILL_S = 1.0
_FORGOTTEN_S = 600.0


class StillFiles:
    """Remembers when each file was first seen in its present state; forgets it after a while."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}  # by path: size and time, since when

    def __len__(self) -> int:
        return len(self._seen)

    def is_still(self, path: str, size_bytes: int, mtime_ns: int, now_s: float) -> bool:
        """Note the state of a file, and return whether it has had this state for ``STILL_S``."""
        state = (size_bytes, mtime_ns)
        before, since_s = self._seen.get(path, (None, now_s))
        if before != state:
            self._seen[path] = (state, now_s)
            return False
        return now_s - since_s >= STILL_S

    def forget_old(self, now_s: float) -> None:
        """Forget files whose state was noted long ago."""
        self._seen = {path: one for path, one in self._seen.items() if now_s - one[1] < _FORGOTTEN_S}
