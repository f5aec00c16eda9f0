"""``smallsight watch``: index folders, then whatever changes in them, until it is stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.index import (
    CommandProgress,
    ModelOption,
    NoDescribeOption,
    RetryFailedOption,
    TagsModelOption,
    TagsOption,
    note_problem,
    settings_of_run,
    stop_on_interrupt,
)
from smallsight.cli.output import Output, get_output
from smallsight.errors import FolderMissingError, LibraryBusyError, SmallsightError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.ledger import StageName
    from smallsight.library.progress import PictureChange
    from smallsight.services.indexing import RunReport
    from smallsight.settings import Settings

_MAX_PROBLEMS = 20  # of a batch, in words
_LONG_WORK = 50  # pictures: fewer show no progress, after the first batch
_SINGULAR = {"sidecars_read": "sidecar read", "problems": "problem"}
_STAGES = {"describe": "described", "tag": "tagged"}


def watch(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders to add and watch; default: all folders of the library."),
    ] = None,
    retry_failed: RetryFailedOption = False,
    model: ModelOption = None,
    no_describe: NoDescribeOption = False,
    tags: TagsOption = None,
    tags_model: TagsModelOption = None,
    poll: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=86_400,
            metavar="SECONDS",
            help="Scan all folders at this interval; default: only those on a network, every 60 s.",
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Index folders, then keep them up to date until Ctrl-C."""
    out = get_output(json=json, quiet=quiet)
    settings = settings_of_run(model, tags, tags_model, describes=not no_describe)
    watch_folders(
        out, settings, folders or [], describes=not no_describe, retry_failed=retry_failed, poll_s=poll
    )


def watch_folders(
    out: Output,
    settings: Settings,
    folders: Sequence[Path],
    *,
    describes: bool,
    retry_failed: bool,
    poll_s: float | None = None,
) -> None:
    """Watch folders until SIGINT or SIGTERM, which is the normal end."""
    from smallsight.services.watching import Watch

    shown = _ShownWatch(out)
    one = Watch(settings, shown, describes=describes, retry_failed=retry_failed, poll_s=poll_s)
    with stop_on_interrupt(out, is_working=lambda: one.is_busy) as stopped:
        one.run(folders, stopped)
    shown.stopped()


class _BatchProgress(CommandProgress):
    """Collects one batch: its problems and changes; prints each change with ``--json``."""

    def __init__(self, out: Output, shown: _ShownWatch, min_shown: int) -> None:
        super().__init__(out)
        self._shown = shown
        self._min_shown = min_shown
        self.changes: Counter[PictureChange] = Counter()

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Show progress of work that may take long."""
        if total is None or total >= self._min_shown:
            super().begin(activity, total, unit)

    def problem(self, path: str, error: SmallsightError) -> None:
        """Keep the error of one picture; that a folder is missing is reported once, as such."""
        if not isinstance(error, FolderMissingError):
            super().problem(path, error)
            self._shown.event("problem", path=path, code=error.code, message=error.message)

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:  # noqa: ARG002
        """Count the change."""
        self.changes[change] += 1
        self._shown.event(str(change), path=str(path))


class _ShownWatch:
    """Prints a watch: a line per batch, and with ``--json`` a line per event."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._progress: _BatchProgress | None = None

    def event(self, name: str, **data: object) -> None:
        """Print an event with ``--json``."""
        if self._out.json:
            self._out.emit_line({"event": name, "at_s": round(time.time(), 3), **data})

    def begin_batch(self) -> _BatchProgress:
        """Return the progress of the next batch."""
        is_first = self._progress is None
        self._progress = _BatchProgress(self._out, self, 1 if is_first else _LONG_WORK)
        return self._progress

    def indexed(self, report: RunReport) -> None:
        """Print what the batch did, if it did something."""
        problems = [] if self._progress is None else self._progress.problems
        counts = {
            **self._changes(),
            "sidecars_read": sum(scan.sidecars_read for scan in report.scans),
            **{word: report.work.stages[name].done for name, word in _stages(report).items()},
            "problems": len(problems),
        }
        if not any(counts.values()):
            return
        if self._out.json:
            self.event("indexed", complete=report.work.is_complete, **counts)
            return
        shown = {
            word: word.replace("_", " ") if n != 1 else _SINGULAR.get(word, word)
            for word, n in counts.items()
        }
        parts = [f"{count:,} {shown[word]}" for word, count in counts.items() if count]
        found = ", ".join(part for part in parts if part.split(" ", 1)[1] not in _STAGES.values())
        done = ", ".join(part for part in parts if part.split(" ", 1)[1] in _STAGES.values())
        line = "; ".join(one for one in (found, done) if one)
        self._out.console.print(f"{time.strftime('%H:%M')} {line}", markup=False)
        for path, error in problems[:_MAX_PROBLEMS]:
            note_problem(self._out, path, error)

    def _changes(self) -> dict[str, int]:
        from smallsight.library.progress import PictureChange

        changes = Counter[PictureChange]() if self._progress is None else self._progress.changes
        moved = changes[PictureChange.MOVED]
        return {
            "new": changes[PictureChange.ADDED] - moved,  # a moved file is reported as added first
            "changed": changes[PictureChange.CHANGED],
            "moved": moved,
            "vanished": changes[PictureChange.VANISHED],
        }

    def watching(self, folders: Sequence[Path], polled: Sequence[Path]) -> None:
        """Say that everything is indexed, and what is watched."""
        self.event("watching", folders=[str(one) for one in folders], polled=[str(one) for one in polled])
        noun = "folder" if len(folders) == 1 else "folders"
        scanned = f", {len(polled)} of them by scanning at an interval" if polled else ""
        self._say(f"[green]Up to date.[/] Watching {len(folders)} {noun}{scanned}; Ctrl-C ends it.")

    def waiting(self, error: LibraryBusyError) -> None:
        """Say who indexes."""
        self.event("waiting", message=error.message)
        self._warn(f"{error.message} Waiting until it is done.")

    def missing(self, folder: Path) -> None:
        """Say that a folder has gone."""
        self.event("missing", path=str(folder))
        self._warn(f"The folder is missing or empty: {folder}. Its pictures stay in the library.")

    def returned(self, folder: Path) -> None:
        """Say that a folder is there again."""
        self.event("returned", path=str(folder))
        self._warn(f"The folder is there again: {folder}")

    def failed(self, error: SmallsightError, retry_s: float) -> None:
        """Say why a batch failed."""
        self.event("failed", code=error.code, message=error.message, retry_s=retry_s)
        self._warn(f"{error.message} Trying again in {retry_s:g} s.")

    def polling(self, reason: str) -> None:
        """Say why folders are polled."""
        self.event("polling", message=reason)
        self._warn(reason)

    def stopped(self) -> None:
        """Say that the watch has ended as it should."""
        self.event("stopped")
        self._say("Stopped watching; everything finished is kept.")

    def _warn(self, text: str) -> None:
        from rich.markup import escape

        self._say(f"[yellow]{time.strftime('%H:%M')}[/] {escape(on_one_line(text))}")

    def _say(self, text: str) -> None:
        if not self._out.json:
            self._out.note(text)


def _stages(report: RunReport) -> dict[StageName, str]:
    """Return the stages whose work is counted in a line."""
    return {name: _STAGES[str(name)] for name in report.work.stages if str(name) in _STAGES}
