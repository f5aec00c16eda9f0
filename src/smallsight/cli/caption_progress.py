"""Shows how far a run of captions is, and each picture that has no answer."""

from __future__ import annotations

from smallsight.captioning.caption_run import CaptionReport, RunProgress
from smallsight.captioning.picture_sources import LeftOut
from smallsight.cli.describe_files import print_problem
from smallsight.cli.output import Output
from smallsight.cli.progress_report import ProgressBar
from smallsight.cli.units import counted
from smallsight.errors import SmallsightError
from smallsight.policy.shown_text import on_one_line


class ShownProgress(RunProgress):
    """Shows a bar with rate and time left, and each problem."""

    def __init__(self, bar: ProgressBar, out: Output) -> None:
        self._bar = bar
        self._out = out

    def left_out(self, files: LeftOut) -> None:
        """Say what a folder also holds."""
        num = counted(files.num, files.kind)
        left = f"{num} there {'is' if files.num == 1 else 'are'} left out; name what you want as well."
        self._out.note_dimly(f"{on_one_line(files.folder)}: the {files.taken}s are read, {left}")

    def done(self, report: CaptionReport, estimate: int | None) -> None:
        """Advance the bar; what the model has nothing to do with does not count."""
        num_done = report.described + report.failed
        total = None if estimate is None else max(num_done, estimate - report.num_passed)
        self._bar.update(completed=num_done, total=total)

    def problem(self, name: str, error: SmallsightError) -> None:
        """Print which picture it was, and why."""
        if not self._out.json:
            print_problem(name, error, self._out)
