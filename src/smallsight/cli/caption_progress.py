"""Shows how far a run of captions is, and each picture that has no answer."""

from __future__ import annotations

from smallsight.captioning.caption_run import CaptionReport, RunProgress
from smallsight.cli.describe_files import print_problem
from smallsight.cli.output import Output
from smallsight.cli.progress_report import ProgressBar
from smallsight.errors import SmallsightError


class ShownProgress(RunProgress):
    """Shows a bar with rate and time left, and each problem."""

    def __init__(self, bar: ProgressBar, out: Output) -> None:
        self._bar = bar
        self._out = out

    def done(self, report: CaptionReport, estimate: int | None) -> None:
        """Advance the bar; what the model has nothing to do with does not count."""
        num_done = report.described + report.failed
        total = None if estimate is None else max(num_done, estimate - report.num_passed)
        self._bar.update(completed=num_done, total=total)

    def problem(self, name: str, error: SmallsightError) -> None:
        """Print which picture it was, and why."""
        if not self._out.json:
            print_problem(name, error, self._out)
