"""``smallsight demo``: indexes and searches the example pictures, or a folder of the user's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.index import (
    CommandProgress,
    note_missing_parts,
    note_problem,
    report_as_data,
    stop_on_interrupt,
)
from smallsight.cli.output import Output, get_output
from smallsight.cli.searching import hit_as_data, print_hit
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.cli.demonstration import DemoQuery
    from smallsight.services.indexing import IndexingApplication, RunReport

_TABLE_ROWS = 60
_HITS_SHOWN = 3
_SIZE_WIDTH = 9  # 1170×2532
_KINDS = {
    "keyword": "the words in the picture",
    "semantic": "the meaning, in other words",
    "misspelt": "a misspelt word",
    "drawn": "drawn, not written: found by its description",
}


def demo(
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Use this folder instead of the example pictures.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Index the example pictures and run some searches on them."""
    from smallsight.cli.demonstration import (
        demo_settings,
        invented_queries,
        shipped_queries,
    )
    from smallsight.services.example_pictures import shipped_pictures
    from smallsight.services.indexing import IndexingApplication
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    folders = shipped_pictures() if pictures is None else (pictures,)
    settings = demo_settings(load_settings(), folders[0], is_own=pictures is not None)
    observer = CommandProgress(out)
    started_s = time.perf_counter()
    with IndexingApplication(settings) as application, stop_on_interrupt(out) as stopped:
        note_missing_parts(application, out)
        report = application.index(folders, observer, stopped.is_set)
        if stopped.is_set():
            out.note("[yellow]Stopped.[/] Everything finished is kept; run it again to continue.")
            raise typer.Exit(130)
        index_s = time.perf_counter() - started_s
        queries = (
            invented_queries(application.database, application.searcher)
            if pictures
            else shipped_queries(folders[0].parent)
        )
        if out.json:
            out.emit(_as_data(application, report, observer, queries, folders))
            return
        _print_tables(out, application, folders)
        _print_speed(out, report, index_s)
        for path, error in observer.problems:
            note_problem(out, path, error)
        for query in queries:
            _print_search(out, application, query)
    _print_next_steps(out, is_own=pictures is not None)


def _rows(application: IndexingApplication, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return one row per picture, with what was read in it, in the order of the pictures' names."""
    root = folders[0].resolve() if len(folders) == 1 else folders[0].resolve().parent
    rows = []
    for hit in application.searcher.search("", limit=_TABLE_ROWS).hits:
        name = hit.path.relative_to(root).as_posix() if hit.path.is_relative_to(root) else str(hit.path)
        name = name.removeprefix("pictures/")
        rows.append(
            {
                "picture": name,
                "width_px": hit.width_px,
                "height_px": hit.height_px,
                "text": hit.ocr_text or "",
                "description": hit.description or "",
                "same_as": [str(path) for path in hit.other_paths],
            }
        )
    return sorted(rows, key=lambda row: str(row["picture"]))


def _print_tables(out: Output, application: IndexingApplication, folders: Sequence[Path]) -> None:
    from rich.markup import escape

    rows = _rows(application, folders)
    if not rows:
        out.note(f"[yellow]No pictures in[/] {escape(on_one_line(folders[0]))}")
        return
    described = [row for row in rows if row["description"]]
    others = [row for row in rows if not row["description"]]
    if others:
        _print_table(out, "Text read in the pictures", others, ("text in it",))
    if described:
        model = application.settings.describe.model
        _print_table(out, f"Descriptions by {model}", described, ("text in it", "description"))


def _print_table(out: Output, title: str, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", header_style="bold", box=None)
    name_width = min(38 if out.console.width >= 120 else 24, max(len(str(row["picture"])) for row in rows))
    table.add_column("picture", no_wrap=True, overflow="ellipsis", width=name_width, style="cyan")
    table.add_column("size", justify="right", no_wrap=True, width=_SIZE_WIDTH)
    left = max(20, out.console.width - name_width - _SIZE_WIDTH - 6)  # without the gaps
    shares = (left,) if len(columns) == 1 else (left // 4, left - left // 4 - 2)
    for name, width in zip(columns, shares, strict=True):
        table.add_column(name, overflow="ellipsis", no_wrap=name != "description", width=width)
    for row in rows:
        size = f"{row['width_px']}×{row['height_px']}" if row["width_px"] else "?"
        text = escape(" / ".join(str(row["text"]).split("\n"))) or "[dim]no text[/]"
        description = escape(" ".join(str(row["description"]).split()))
        table.add_row(escape(on_one_line(row["picture"])), size, *(text, description)[: len(columns)])
    out.console.print()
    out.console.print(table)


def _print_speed(out: Output, report: RunReport, index_s: float) -> None:
    stages = report.work.stages
    num_done = max(stage.done for stage in stages.values())
    if not num_done:
        out.console.print(f"\n[dim]Nothing has changed since the last run; checked in {index_s:.1f} s.[/]")
        return
    parts = [
        f"{name} {stage.done / stage.seconds:,.1f}/s"
        for name, stage in stages.items()
        if stage.done and stage.seconds
    ]
    out.console.print(
        f"\n[dim]{num_done} pictures in {index_s:.1f} s, start-up included; "
        f"pictures by stage: {', '.join(parts)}.[/]"
    )


def _print_search(out: Output, application: IndexingApplication, query: DemoQuery) -> None:
    from rich.markup import escape

    if query.mode == "semantic" and application.embedder is None:
        return
    result = application.searcher.search(query.text, mode=query.mode, limit=_HITS_SHOWN)
    out.console.print(
        f"\n[bold]smallsight search {escape(query.text)}[/]   "
        f"[dim]{_KINDS[query.kind]}, {result.elapsed_ms:.0f} ms[/]"
    )
    for word, better in result.corrections.items():
        out.console.print(f"     [dim]{escape(word)} → {escape(', '.join(better))}[/]")
    for number, hit in enumerate(result.hits, start=1):
        print_hit(out, number, hit)
    if not result.hits:
        out.console.print("     [dim]nothing found[/]")


def _print_next_steps(out: Output, *, is_own: bool) -> None:
    from rich.markup import escape

    steps = [
        ("smallsight index ~/Pictures", "index your own pictures; run it again at any time"),
        (
            "smallsight search some words",
            'words, "a phrase", -not, tag:NAME, folder:NAME, or a meaning',
        ),
        ("smallsight search --similar FILE", "pictures that look alike or contain similar text"),
        ("smallsight doctor", "what this machine has and what is missing"),
    ]
    own = " --pictures FOLDER" if is_own else ""
    steps.insert(0, (f"smallsight serve --demo{own}", "the same pictures in the browser"))
    if not is_own:
        steps.insert(0, ("smallsight demo --pictures FOLDER", "the same with your own pictures"))
    out.note("\n[bold]Next[/]")
    for command, why in steps:
        out.note(f"  [bold cyan]{escape(command):<42}[/] {escape(why)}")


def _as_data(
    application: IndexingApplication,
    report: RunReport,
    observer: CommandProgress,
    queries: list[DemoQuery],
    folders: Sequence[Path],
) -> dict[str, Any]:
    searches = []
    for query in queries:
        result = application.searcher.search(query.text, mode=query.mode, limit=_HITS_SHOWN)
        searches.append(
            {
                "kind": query.kind,
                "query": query.text,
                "elapsed_ms": round(result.elapsed_ms, 2),
                "corrections": dict(result.corrections),
                "hits": [hit_as_data(hit, application.thumbnail(hit.thumbnail_key)) for hit in result.hits],
            }
        )
    return {
        "index": report_as_data(report, observer),
        "pictures": _rows(application, folders),
        "searches": searches,
    }
