"""``smallsight index``: fills the library with what is in folders."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.progress_report import ProgressBar
from smallsight.errors import FolderMissingError, SettingsError, SmallsightError
from smallsight.media.file_kinds import FileKind
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.ledger import OutcomeStatus, StageName
    from smallsight.library.progress import PictureChange
    from smallsight.library.scan import ScanReport
    from smallsight.services.indexing import IndexingApplication, RunReport
    from smallsight.settings import Settings

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders to add and scan, or files and parts of known ones; default: all folders."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Describe with this model (name or folder); default: describe.model.",
        autocompletion=model_names,
    ),
]
NoDescribeOption = Annotated[bool, typer.Option("--no-describe", help="Skip descriptions in this run.")]
TagsOption = Annotated[
    bool | None,
    typer.Option("--tags/--no-tags", help="Tag pictures with a Florence-2; default: index.tags."),
]
RetryFailedOption = Annotated[bool, typer.Option("--retry-failed", help="Retry pictures that failed before.")]


TagsModelOption = Annotated[
    str | None,
    typer.Option(
        "--tags-model",
        help="Tag with this Florence-2; default: tags.model, then describe.model.",
        autocompletion=model_names,
    ),
]


def index(
    folders: FoldersArgument = None,
    retry_failed: RetryFailedOption = False,
    model: ModelOption = None,
    no_describe: NoDescribeOption = False,
    tags: TagsOption = None,
    tags_model: TagsModelOption = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Only embed pictures: no OCR, descriptions or tags, which a later run can add."
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on watching the folders, as `smallsight watch` does.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Index folders of pictures; run again to resume or update."""
    from smallsight.services.indexing import IndexingApplication

    out = get_output(json=json, quiet=quiet)
    describes = not (no_describe or fast)
    settings = settings_of_run(model, tags, tags_model, describes=describes, is_fast=fast)
    if watch:
        from smallsight.cli.watch import watch_folders

        watch_folders(out, settings, folders or [], describes=describes, retry_failed=retry_failed)
        return
    observer = CommandProgress(out)
    with (
        IndexingApplication(settings, describes=describes) as application,
        stop_on_interrupt(out) as stopped,
    ):
        if not folders and not application.library.folders():
            raise SettingsError("No folder to index.", hint="name one: `smallsight index ~/Pictures`.")
        if fast:
            _note_shipped_model(settings, out)
        note_missing_parts(application, out)
        report = application.index(folders or [], observer, stopped.is_set, retry_failed=retry_failed)
        if out.json:
            out.emit(report_as_data(report, observer))
        else:
            _print_report(out, report, observer)
    if stopped.is_set():
        raise typer.Exit(130)
    if report.missing:
        raise typer.Exit(FolderMissingError.exit_code)


def settings_of_run(
    model: str | None,
    tags: bool | None,
    tags_model: str | None,
    *,
    describes: bool,
    is_fast: bool = False,
) -> Settings:
    """Return the settings of a run, after closing this process to other programs and testing the decoder."""
    from smallsight.machine.own_process import deny_inspection
    from smallsight.media.sandbox_report import missing_restrictions
    from smallsight.services.logs import configure_logging
    from smallsight.settings import load_settings

    if not describes and model is not None:
        raise SettingsError("--model and --no-describe contradict each other.", hint="leave one out.")
    if is_fast and (model is not None or tags or tags_model is not None):
        raise SettingsError("--fast describes and tags nothing.", hint="leave out --model and --tags.")
    chosen = _chosen(model, tags, tags_model)
    if is_fast:
        chosen["index"] = {"ocr": False, "tags": False, "looks": True}
    settings = load_settings(**chosen)
    if is_fast:
        settings = _with_picture_model(settings, chosen)
    configure_logging(settings.log_level, settings.log_format)
    deny_inspection()
    missing_restrictions(settings.limits)
    return settings


def _with_picture_model(settings: Settings, chosen: dict[str, dict[str, Any]]) -> Settings:
    """Return settings that name the model of this package if there is no other."""
    from smallsight.inventory.embedding_models import find_picture_model, shipped_picture_model
    from smallsight.settings import load_settings

    if settings.picture_embedding.model is not None or find_picture_model(settings, None) is not None:
        return settings
    return load_settings(**chosen, picture_embedding={"model": shipped_picture_model().name})


def _note_shipped_model(settings: Settings, out: Output) -> None:
    from smallsight.inventory.embedding_models import shipped_picture_model

    if settings.picture_embedding.model == (name := shipped_picture_model().name):
        out.note(
            f"{name} embeds the pictures: it knows drawings of a few dozen things, and no photographs. "
            "`smallsight models pull SigLIP-base-patch16-224` fetches a model for photographs."
        )


def _chosen(model: str | None, tags: bool | None, tags_model: str | None) -> dict[str, dict[str, Any]]:
    """Return the flags as settings; ``--tags-model`` implies ``--tags``."""
    if tags is False and tags_model is not None:
        raise SettingsError("--tags-model and --no-tags contradict each other.", hint="leave one out.")
    given = {
        ("describe", "model"): model,
        ("tags", "model"): tags_model,
        ("index", "tags"): True if tags_model is not None else tags,
    }
    chosen: dict[str, dict[str, Any]] = {}
    for (part, name), value in given.items():
        if value is not None:
            chosen.setdefault(part, {})[name] = value
    return chosen


@contextmanager
def stop_on_interrupt(
    out: Output, *, is_working: Callable[[], bool] = lambda: True
) -> Iterator[threading.Event]:
    """Set the event on the first Ctrl-C, to stop cleanly; a second one interrupts at once."""
    stopped = threading.Event()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            signal.default_int_handler(number, frame)
        stopped.set()
        if is_working():
            out.note("[yellow]Stopping after the current picture; press Ctrl-C again to stop at once.[/]")

    before = {number: signal.signal(number, on_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class CommandProgress:
    """Shows an activity as a progress bar and collects the problems for the report."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._bar: AbstractContextManager[ProgressBar] | None = None
        self._report: ProgressBar | None = None
        self.problems: list[tuple[str, SmallsightError]] = []

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Open a bar, unless there is nothing to do."""
        if total != 0:
            self._bar = self._out.progress(activity, total, unit)
            self._report = self._bar.__enter__()

    def advance(self, n: int = 1) -> None:
        """Move the bar."""
        if self._report is not None:
            self._report.advance(n)

    def end(self) -> None:
        """Close the bar."""
        bar, self._bar, self._report = self._bar, None, None
        if bar is not None:
            bar.__exit__(None, None, None)

    def problem(self, path: str, error: SmallsightError) -> None:
        """Keep the error of one picture for the report."""
        self.problems.append((path, error))

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        """Do nothing: the bar counts pictures."""

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        """Do nothing: the report counts changes."""


def note_missing_parts(application: IndexingApplication, out: Output) -> None:
    """Print which features are off because this installation lacks a part."""
    wanted = application.settings.index
    if wanted.ocr and application.reader is None and not wanted.tags:  # the tagger then reads the text too
        out.note("[yellow]Text in pictures is not read:[/] pip install 'smallsight\\[ocr]' turns it on.")
    if application.text_embedder is None:
        out.note(
            "[yellow]Search by meaning is off:[/] its model is not on this machine; "
            "`smallsight doctor` explains how to get it. Search by words works."
        )


def note_problem(out: Output, path: str, error: SmallsightError) -> None:
    """Print which picture was skipped and why."""
    from rich.markup import escape

    out.note(f"[yellow]skipped[/] {escape(on_one_line(path))}: {escape(on_one_line(error.message))}")


def report_as_data(report: RunReport, observer: CommandProgress) -> dict[str, Any]:
    """Return a run as plain data for ``--json``."""
    work = report.work
    return {
        "complete": work.is_complete and not report.missing,
        "missing_folders": [str(path) for path in report.missing],
        "folders": [
            {
                "path": str(scan.folder),
                "found": scan.found,
                "videos": scan.videos,
                "added": scan.added,
                "changed": scan.changed,
                "moved": scan.moved,
                "vanished": scan.vanished,
                "unreadable": scan.unreadable,
                "sidecars": scan.sidecars,
                "sidecars_read": scan.sidecars_read,
                "hashed": scan.hashed,
                "hash_s": round(scan.hash_s, 4),
                "passed_over": [
                    {
                        "reason": reason,
                        "number": len(paths),
                        "names": [] if reason == FileKind.OTHER else paths,
                    }
                    for reason, paths in scan.passed.items()
                ],
            }
            for scan in report.scans
        ],
        "stages": {
            name: {"done": stage.done, "failed": stage.failed, "seconds": round(stage.seconds, 4)}
            for name, stage in work.stages.items()
        },
        "problems": [
            {"path": path, "code": error.code, "message": error.message} for path, error in observer.problems
        ],
    }


def _print_report(out: Output, report: RunReport, observer: CommandProgress) -> None:
    from rich.markup import escape

    from smallsight.cli.units import counted

    for scan in report.scans:
        changes = [
            f"{count:,} {word}"
            for count, word in (
                (scan.added, "new"),
                (scan.changed, "changed"),
                (scan.moved, "moved"),
                (scan.vanished, "vanished"),
                (scan.unreadable, "unreadable"),
                (scan.sidecars_read, "sidecar read" if scan.sidecars_read == 1 else "sidecars read"),
            )
            if count
        ]
        out.note(
            f"[bold]{escape(on_one_line(scan.folder))}[/]: {_found_text(scan)}, "
            f"{', '.join(changes) or 'nothing new'}."
        )
        if left_out := scan.passed.get(FileKind.VIDEO):
            were = "was" if len(left_out) == 1 else "were"
            out.note(
                f"[yellow]{counted(len(left_out), 'video')} {were} left out:[/] "
                "pip install 'smallsight\\[video]' reads videos."
            )
        if passed := _passed_text(scan.passed):
            out.note(f"[dim]Passed over: {passed}.[/]")
        for below in scan.unreadable_folders:
            out.note(f"[yellow]Could not list the folder[/] {escape(on_one_line(scan.folder / below))}")
    for path, error in observer.problems[:20]:
        note_problem(out, path, error)
    if len(observer.problems) > 20:
        out.note(f"… and {len(observer.problems) - 20:,} more; `--json` lists all of them.")
    if report.missing:
        out.note(
            f"[yellow]Not complete:[/] {len(report.missing)} of the folders were not there; "
            "their pictures stay in the library."
        )
    elif report.work.is_complete:
        out.note("[green]Up to date.[/] Find something: [bold]smallsight search WORDS[/]")
    else:
        out.note("[yellow]Stopped.[/] Everything finished is kept; run the same command again to continue.")


def _found_text(scan: ScanReport) -> str:
    from smallsight.cli.units import counted

    pictures = counted(scan.found - scan.videos, "picture")
    return f"{pictures}, {counted(scan.videos, 'video')}" if scan.videos else pictures


_EXCLUDED = "excluded by index.exclude or .nomedia"
_PASSED_NOUNS = {
    "pdfs": ("PDF",),
    "raw_photos": ("RAW photo",),
    "other_pictures": ("picture of a format that is not read", "pictures of formats that are not read"),
    "links": ("link",),
    "excluded": (_EXCLUDED, _EXCLUDED),
    "other_files": ("other file",),
}


def _passed_text(passed: dict[str, list[str]]) -> str:
    """Return the counts by reason; names that are not text are among the problems."""
    from smallsight.cli.units import counted

    return ", ".join(
        counted(number, *nouns)
        for reason, nouns in _PASSED_NOUNS.items()
        if (number := len(passed.get(reason, ())))
    )
