"""Shows progress: a bar on a terminal, an occasional line elsewhere, nothing when quiet.

Separate from ``output`` so that commands without progress do not import it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from smallsight.cli.progress_report import ProgressBar
from smallsight.cli.units import duration_text

_PLAIN_INTERVAL_S = 5.0


@contextmanager
def open_progress(
    console: Console, description: str, total: int | None, unit: str, *, quiet: bool
) -> Iterator[ProgressBar]:
    """Show progress on the console with rate and time left until the block ends."""
    if quiet:
        yield _SilentProgress()
    elif console.is_terminal:
        with _bar(console, unit) as bar:
            yield _BarProgress(bar, bar.add_task(description, total=total))
    else:
        report = _LineProgress(console, description, total, unit)
        yield report
        report.finish()


class _RateColumn(ProgressColumn):
    """Shows units per second, measured over the recent past."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} {self._unit}/s", style="progress.data.speed")


def _bar(console: Console, unit: str) -> Progress:
    return Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )


class _SilentProgress:
    def advance(self, n: int = 1) -> None:
        pass

    def update(
        self, *, completed: int | None = None, total: int | None = None, description: str = ""
    ) -> None:
        pass


class _BarProgress:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def advance(self, n: int = 1) -> None:
        self._bar.advance(self._task, n)

    def update(
        self, *, completed: int | None = None, total: int | None = None, description: str = ""
    ) -> None:
        self._bar.update(self._task, completed=completed, total=total, description=description or None)


class _LineProgress:
    """Prints a line every few seconds, for logs and pipes."""

    def __init__(self, console: Console, description: str, total: int | None, unit: str) -> None:
        self._console = console
        self._description = description
        self._total = total
        self._unit = unit
        self._done = 0
        self._started_s = time.monotonic()
        self._printed_s = self._started_s

    def advance(self, n: int = 1) -> None:
        self.update(completed=self._done + n)

    def update(
        self, *, completed: int | None = None, total: int | None = None, description: str = ""
    ) -> None:
        self._done = self._done if completed is None else completed
        self._total = self._total if total is None else total
        self._description = description or self._description
        if time.monotonic() - self._printed_s >= _PLAIN_INTERVAL_S:
            self._print()

    def finish(self) -> None:
        if self._done:
            self._print()

    def _print(self) -> None:
        self._printed_s = time.monotonic()
        elapsed_s = max(self._printed_s - self._started_s, 1e-9)
        rate = self._done / elapsed_s
        parts = [f"{self._description}: {self._done:,}"]
        if self._total is not None:
            parts[0] += f" of {self._total:,}"
        parts.append(f"{rate:,.1f} {self._unit}/s")
        if self._total is not None and rate > 0 and self._done < self._total:
            parts.append(f"about {duration_text((self._total - self._done) / rate)} left")
        self._console.print(", ".join(parts), markup=False)
