"""What ``smallsight describe`` prints about several files: blocks of text, one JSON array, or JSON lines."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallsight.cli.interrupts import remembered_interrupts
from smallsight.cli.output import Output
from smallsight.errors import SmallsightError
from smallsight.policy.shown_text import in_lines, on_one_line, shortened

if TYPE_CHECKING:
    from smallsight.cli.progress_report import ProgressBar
    from smallsight.library.described_files import DescribedFile, WantedFile
    from smallsight.library.describing import DescribeOptions
    from smallsight.library.description_lines import DescriptionLines
    from smallsight.model.model import Model
    from smallsight.settings import Settings

_MAX_NAME_CHARS = 300
_CUT = " […]"


@dataclass(frozen=True, slots=True)
class Job:
    """The files to describe and how: ``is_lines`` prints JSON lines, ``lines_path`` is a file for them."""

    model: Model
    files: list[WantedFile]
    options: DescribeOptions
    settings: Settings
    is_lines: bool = False
    lines_path: Path | None = None
    retries_failed: bool = False


@dataclass(slots=True)
class _Tally:
    """How the files of one run ended."""

    described: int = 0
    failed: int = 0
    skipped: int = 0
    cut: int = 0
    exit_code: int = 0

    def count(self, answer: object) -> None:
        if isinstance(answer, SmallsightError):
            self.failed += 1
            self.exit_code = self.exit_code or answer.exit_code
        else:
            self.described += 1
            self.cut += getattr(answer, "finish_reason", None) == "length"


def describe_all(job: Job, out: Output) -> int:
    """Print the answer or the error for each file; return the first error's exit code, or 0."""
    if job.lines_path is not None:
        return _into_file(job, job.lines_path, out)
    if job.is_lines:
        return _as_lines(job, out)
    return _as_array(job, out) if out.json else _as_text(job, out)


def note_nothing(name: object, out: Output) -> None:
    """Say that a model answered nothing about a file."""
    from rich.markup import escape

    out.note(f"The model answered nothing about {escape(on_one_line(name))}: ask in other words.")


def note_cut(max_tokens: int, out: Output, number: int | None = None) -> None:
    """Say that an answer, or a number of them, reached the limit."""
    which = (
        "The answer was" if number is None else "1 answer was" if number == 1 else f"{number:,} answers were"
    )
    tokens = "1 token" if max_tokens == 1 else f"{max_tokens:,} tokens"
    out.note(f"{which} cut at {tokens}; --max-tokens allows more.")


def _as_text(job: Job, out: Output) -> int:
    tally = _Tally()
    for one in _described(job):
        tally.count(one.answer)
        if isinstance(one.answer, SmallsightError):
            print_problem(one.file.path, one.answer, out)
            continue
        text = in_lines(one.answer.text) + (_CUT if one.answer.finish_reason == "length" else "")
        sys.stdout.write(f"{on_one_line(one.file.path)}\n{text}\n\n")
        sys.stdout.flush()
        if not one.answer.text.strip():
            note_nothing(one.file.path, out)
    if tally.cut:
        note_cut(job.options.max_tokens, out, tally.cut)
    return tally.exit_code


def _as_array(job: Job, out: Output) -> int:
    tally, rows = _Tally(), []
    with _progress(job, out) as bar:
        for one in _described(job):
            tally.count(one.answer)
            rows.append(_as_data(one))
            bar.advance()
    out.emit(rows)
    return tally.exit_code


def _as_lines(job: Job, out: Output) -> int:
    tally, request = _Tally(), _request(job)
    with _progress(job, out) as bar:
        for one in _described(job):
            tally.count(one.answer)
            sys.stdout.write(jsonlib.dumps(_as_line(one) | {"request": request}) + "\n")
            sys.stdout.flush()
            bar.advance()
    return tally.exit_code


def _into_file(job: Job, path: Path, out: Output) -> int:
    from smallsight.library.description_lines import DescriptionLines

    tally = _Tally()
    with DescriptionLines(path, _request(job), retries_failed=job.retries_failed) as lines:
        try:
            with _progress(job, out, always=True) as bar:
                for one in _described(job, lines, tally, bar):
                    tally.count(one.answer)
                    lines.append(_as_line(one))
                    bar.advance()
                    if isinstance(one.answer, SmallsightError) and not out.json:
                        print_problem(one.file.path, one.answer, out)
        except KeyboardInterrupt:
            out.note("Stopped. The same command continues where it ended.")
            raise
        _report(tally, path, out)
    return tally.exit_code


def _described(
    job: Job,
    lines: DescriptionLines | None = None,
    tally: _Tally | None = None,
    bar: ProgressBar | None = None,
) -> Iterator[DescribedFile]:
    """Yield what the model answers about the files that have no line yet."""
    from smallsight.library.described_files import describe_files

    def is_wanted(file: WantedFile, sha256: str | None) -> bool:
        if lines is None or not lines.holds(file.absolute_name, sha256):
            return True
        if tally is not None and bar is not None:
            tally.skipped += 1
            bar.update(total=len(job.files) - tally.skipped)
        return False

    described = describe_files(
        job.model,
        job.files,
        job.options,
        job.settings.limits,
        is_wanted,
        with_words=job.is_lines or job.lines_path is not None,
    )
    with closing(described), remembered_interrupts() as pressed:
        for one in described:
            yield one
            if pressed.is_set():
                raise KeyboardInterrupt


@contextmanager
def _progress(job: Job, out: Output, *, always: bool = False) -> Iterator[ProgressBar]:
    """Show a bar on standard error, unless it would share a terminal with the lines."""
    is_quiet = out.quiet or len(job.files) < 2 or (sys.stdout.isatty() and not always)
    with Output(json=out.json, quiet=is_quiet).progress("Describing", len(job.files), "pictures") as bar:
        yield bar


def _report(tally: _Tally, path: Path, out: Output) -> None:
    if out.json:
        counts = {"described": tally.described, "failed": tally.failed, "skipped": tally.skipped}
        out.emit({"file": str(path.absolute()), **counts})
        return
    from rich.markup import escape

    parts = [f"{tally.described:,} described"]
    parts += [f"{tally.failed:,} failed (--retry-failed tries them again)"] if tally.failed else []
    parts += [f"{tally.skipped:,} were in the file already"] if tally.skipped else []
    out.note(f"{escape(on_one_line(path))}: {', '.join(parts)}.")
    if tally.cut:
        out.note(f'{tally.cut:,} answers reached --max-tokens: their finish_reason is "length".')


def print_problem(name: object, error: SmallsightError, out: Output) -> None:
    """Print an error with the picture's name once, and its hint on another line."""
    message = shortened(error.message, _MAX_NAME_CHARS)
    if str(name) not in error.message:
        message = f"{name}: {message}"
    out.err.print("[bold red]error:[/] ", end="")
    out.err.print(on_one_line(message), markup=False)
    if error.hint is not None:
        out.err.print("[bold cyan]hint:[/] ", end="")
        out.err.print(on_one_line(shortened(error.hint, _MAX_NAME_CHARS)), markup=False)


def _request(job: Job) -> dict[str, Any]:
    """Return everything that determines an answer but the picture."""
    return {"model": job.model.name, "precision": job.settings.describe.precision, **asdict(job.options)}


def _as_line(one: DescribedFile) -> dict[str, Any]:
    from smallsight.library.local_time import iso_text

    taken = None if one.words is None else one.words.taken
    facts = {
        "taken": None if taken is None else iso_text(taken.wall_s, 0 if taken.is_utc else taken.offset_min),
        "camera": None if one.words is None else one.words.camera,
    }
    return _as_data(one) | {"sha256": one.sha256} | facts


def _as_data(one: DescribedFile) -> dict[str, Any]:
    data: dict[str, Any] = {
        "path": one.file.absolute_name,
        "text": None,
        "data": None,
        "finish_reason": None,
        "model": None,
        "usage": None,
        "timings": None,
        "error": None,
    }
    answer = one.answer
    if isinstance(answer, SmallsightError):
        return data | {"error": {"code": answer.code, "message": answer.message, "hint": answer.hint}}
    return data | {
        "text": answer.text,
        "data": answer.data,
        "finish_reason": answer.finish_reason,
        "model": answer.model,
        "usage": asdict(answer.usage),
        "timings": {phase: round(seconds, 6) for phase, seconds in asdict(answer.timings).items()},
    }
