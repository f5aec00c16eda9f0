"""``smallsight export``: what the library knows, as one file or as sidecars of the pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smallsight.cli.completion import search_filters
from smallsight.cli.flags import JsonFlag, QuietFlag, SortOption
from smallsight.cli.output import Output, get_output
from smallsight.cli.searching import as_query
from smallsight.cli.units import counted
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.cli.progress_report import ProgressBar
    from smallsight.library.exporting.sidecars import Sidecar
    from smallsight.services.exporting import ExportReport, ExportRequest

_SUFFIXES = {".csv": "csv", ".parquet": "parquet"}
_SIDECARS = frozenset({"txt-sidecars", "xmp-sidecars"})
_MAX_KEPT_SHOWN = 20


_SearchWords = Annotated[
    list[str] | None,
    typer.Argument(
        help="A search, as for `smallsight search`; default: all pictures.", autocompletion=search_filters
    ),
]
_Format = Annotated[
    Literal["jsonl", "csv", "parquet", "txt-sidecars", "xmp-sidecars"] | None,
    typer.Option("--format", help="What to write; default: the ending of --out, or jsonl."),
]
_OutPath = Annotated[
    Path | None,
    typer.Option("--out", help="The new file, or the folder for sidecars.", metavar="PATH"),
]
_PlacesFlag = Annotated[
    bool, typer.Option("--places", help="Write also where pictures were taken (not into sidecars).")
]


def export(
    words: _SearchWords = None,
    format_name: _Format = None,
    out_path: _OutPath = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files and words that Smallsight did not write.")
    ] = False,
    by: Annotated[Literal["all", "human", "model"], typer.Option("--by", help="Whose words.")] = "all",
    mode: Annotated[
        Literal["fused", "keyword", "semantic"],
        typer.Option("--mode", help="Search by words and meaning (fused), by words, or by meaning."),
    ] = "fused",
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="Maximum pictures; default: all.")
    ] = None,
    sort: SortOption = "relevance",
    places: _PlacesFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write what the library knows to a file or to sidecars."""
    from smallsight.library.exporting.record import WordsBy
    from smallsight.library.search.searcher import Mode
    from smallsight.library.search.text_index import Sort
    from smallsight.services.application import Application
    from smallsight.services.exporting import Exporter, ExportFormat, ExportRequest
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    out_path = None if out_path is None or str(out_path) == "-" else out_path.expanduser().absolute()
    chosen = format_name or _SUFFIXES.get(out_path.suffix.lower() if out_path else "", "jsonl")
    _check_target(chosen, out_path, out)
    request = ExportRequest(
        ExportFormat(chosen),
        query=as_query(words) if words else None,
        mode=Mode(mode),
        limit=limit,
        by=WordsBy(by),
        out=out_path,
        overwrite=overwrite,
        sort=Sort(sort),
        places=places,
    )
    with Application(load_settings(), for_writing=False) as application:
        exporter = Exporter(application, request)
        with _progress(exporter.total, request, out) as bar:
            report = exporter.run(bar.advance, _Reporter(out))
    _report(report, request, out)
    if report.first_error is not None:
        raise typer.Exit(report.first_error.exit_code)


def _check_target(chosen: str, path: Path | None, out: Output) -> None:
    """Raise SettingsError for an output that the format cannot have."""
    if chosen in _SIDECARS:
        if path is not None and path.exists() and not path.is_dir():
            raise SettingsError(f"--out is not a folder: {path}", hint="name a folder for the sidecars.")
        return
    if path is not None and path.is_dir():
        raise SettingsError(f"--out is a folder: {path}", hint="name a file in it.")
    if path is None and chosen == "parquet":
        raise SettingsError("A Parquet file cannot be printed.", hint="name the file with --out.")
    if path is None and out.json:
        raise SettingsError(
            "--json prints a summary, and standard output has the export already.", hint="add --out."
        )


@contextmanager
def _progress(total: int, request: ExportRequest, out: Output) -> Iterator[ProgressBar]:
    """Show a bar on standard error, unless the export goes to the same terminal."""
    shares = request.out is None and not request.format.is_sidecars and sys.stdout.isatty()
    with Output(json=out.json, quiet=out.quiet or shares).progress("Exporting", total, "pictures") as bar:
        yield bar


class _Reporter:
    """Prints the sidecars that failed, and some of those that were left alone."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._num_kept = 0

    def __call__(self, sidecar: Sidecar) -> None:
        from rich.markup import escape

        if self._out.json:
            return
        if sidecar.error is not None:
            self._out.err.print("[bold red]error:[/] ", end="")
            self._out.err.print(on_one_line(sidecar.error.message), markup=False)
            return
        self._num_kept += 1
        if self._num_kept <= _MAX_KEPT_SHOWN:
            self._out.note(f"[yellow]left alone[/] {escape(on_one_line(sidecar.path))}: {sidecar.reason}.")


def _report(report: ExportReport, request: ExportRequest, out: Output) -> None:
    if out.json:
        out.emit(_as_data(report))
        return
    noun = "sidecar" if request.format.is_sidecars else "picture"
    parts = [f"{counted(report.written, noun)} written"]
    parts += [f"{report.skipped:,} skipped"] if report.skipped else []
    parts += [f"{report.failed:,} failed"] if report.failed else []
    out.note(f"{', '.join(parts)}.")
    if len(report.kept) > _MAX_KEPT_SHOWN:
        out.note(f"{len(report.kept):,} were left alone in all; `--json` lists them.")
    if report.kept:
        out.note("--overwrite replaces the words of other programs.")


def _as_data(report: ExportReport) -> dict[str, Any]:
    return {
        "written": report.written,
        "skipped": report.skipped,
        "failed": report.failed,
        "left_alone": [{"path": str(one.path), "reason": one.reason} for one in report.kept],
        "problems": [
            {"path": str(one.path), "code": one.error.code, "message": one.error.message}
            for one in report.problems
            if one.error is not None
        ],
    }
