"""Waits for changes below folders: reported by the system, or due for a scan where it reports none.

Owns watching and polling, and notices folders that go and return. Scans nothing.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from watchfiles._rust_notify import RustNotify

from smallsight.machine.watching import is_network_folder, max_watches

log = structlog.get_logger(__name__)

POLL_S = 60.0
RESCAN_S = 3600.0  # the system may lose reports, when there are too many at once
_LONGEST_WAIT_S = 2.0  # until folders are looked for again
_STEP_MS, _DEBOUNCE_MS = 200, 1000
_LIMIT = "limit"  # in the message of the error that says there are too many watches


@dataclass(slots=True)
class ReportedChanges:
    """Paths that have changed, and folders that are to be scanned as a whole."""

    paths: set[str] = field(default_factory=set)
    folders: set[Path] = field(default_factory=set)


@dataclass(slots=True)
class _Folder:
    path: Path
    is_polled: bool
    identity: tuple[int, int] | None = None  # of what was at the path: device and inode
    scan_at_s: float = 0.0


class WatchedFolders:
    """The folders of one watch. Not thread-safe; close it, or use it in ``with``.

    ``poll_s`` polls all folders; otherwise those on a network are polled. ``on_fallback`` is called with the
    reason once the system cannot watch, and then all folders are polled. The others are scanned every
    ``rescan_s``, never with None.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        poll_s: float | None,
        on_fallback: Callable[[str], None],
        rescan_s: float | None = RESCAN_S,
    ) -> None:
        self._poll_s = poll_s or POLL_S
        self._rescan_s = math.inf if rescan_s is None else rescan_s
        self._on_fallback = on_fallback
        self._folders = [
            _Folder(path, is_polled=poll_s is not None or is_network_folder(path)) for path in folders
        ]
        self._notify: RustNotify | None = None
        self._changes = ReportedChanges()
        self._look_for_folders()

    @property
    def polled(self) -> list[Path]:
        """The folders that are polled."""
        return [one.path for one in self._folders if one.is_polled]

    def wait(self, timeout_s: float, stop: threading.Event) -> ReportedChanges:
        """Wait for changes until the time is over or the event is set; return those since the last call."""
        now_s = time.monotonic()
        due_s = min((one.scan_at_s for one in self._folders), default=now_s) - now_s
        timeout_s = max(0.0, min(timeout_s, _LONGEST_WAIT_S, due_s))
        if self._notify is None:
            stop.wait(timeout_s)
        else:
            self._changes.paths |= self._reported(timeout_s, stop)
        if not stop.is_set():
            self._look_for_folders()
        changes, self._changes = self._changes, ReportedChanges()
        return changes

    def close(self) -> None:
        """Stop watching; may be called again."""
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def __enter__(self) -> WatchedFolders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reported(self, timeout_s: float, stop: threading.Event) -> set[str]:
        assert self._notify is not None  # noqa: S101 - for the type checker: the caller has looked
        try:
            found = self._notify.watch(_DEBOUNCE_MS, _STEP_MS, max(1, int(1000 * timeout_s)), stop)
        except (OSError, RuntimeError) as error:
            self._poll_all(error)
            return set()
        if isinstance(found, str):
            return set()
        paths = {path for _, path in found}
        if any(Path(path).is_dir() for path in paths):
            self._require_room()
        return paths

    def _look_for_folders(self) -> None:
        """Note which folders are due for a scan, and watch what is now at their paths."""
        now_s = time.monotonic()
        is_other = False
        for one in self._folders:
            identity = _identity(one.path)
            if identity != one.identity:
                one.identity, one.scan_at_s, is_other = identity, now_s, True
            if now_s >= one.scan_at_s:
                self._changes.folders.add(one.path)
                one.scan_at_s = now_s + (self._poll_s if one.is_polled else self._rescan_s)
        if is_other:
            self._watch()

    def _watch(self) -> None:
        self.close()
        paths = [str(one.path) for one in self._folders if one.identity is not None and not one.is_polled]
        if not paths:
            return
        try:
            self._notify = _start(paths, ignores_refusals=True)
            self._require_room()
        except FileNotFoundError:  # it has gone since; noticed next time
            for one in self._folders:
                one.identity = None
        except (OSError, RuntimeError) as error:
            self._poll_all(error)

    def _require_room(self) -> None:
        """Poll if the system has no watch left: then it has left out folders without an error."""
        if max_watches() is None:
            return
        existing = next(one.path for one in self._folders if one.identity is not None)
        try:
            _start([str(existing)], ignores_refusals=False, is_recursive=False).close()
        except (OSError, RuntimeError) as error:
            if _LIMIT in str(error).lower():
                self._poll_all(error)

    def _poll_all(self, error: Exception) -> None:
        log.info("watch_fallback", exc_info=error)
        self.close()
        now_s = time.monotonic()
        for one in self._folders:
            one.is_polled, one.scan_at_s = True, now_s
        limit = max_watches()
        if limit is not None and _LIMIT in str(error).lower():
            reason = (
                f"There are more folders than this user may watch ({limit:,}). To raise the limit: "
                f"sudo sysctl fs.inotify.max_user_watches={max(524_288, 4 * limit)}."
            )
        else:
            reason = f"The system cannot watch the folders ({error})."
        self._on_fallback(f"{reason} They are scanned every {self._poll_s:g} s instead.")


def _start(paths: list[str], *, ignores_refusals: bool, is_recursive: bool = True) -> RustNotify:
    """Start watching. ``ignores_refusals`` leaves out folders that cannot be watched, for whatever reason."""
    return RustNotify(
        paths,
        debug=False,
        force_polling=False,
        poll_delay_ms=1000,
        recursive=is_recursive,
        ignore_permission_denied=ignores_refusals,
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
