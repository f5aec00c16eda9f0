"""``smallsight search``: finds pictures by words, or by another picture."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smallsight.cli.completion import search_filters
from smallsight.cli.opening import open_file
from smallsight.cli.output import JsonFlag, Output, QuietFlag, get_output
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

    from smallsight.library.search.hits import Hit
    from smallsight.library.search.searcher import SearchResult

_MINUS_WORD = re.compile(r"-(?!-)(?!n\d+$)..+", re.DOTALL)  # not -q, not -n 5, not -n5
_HIGHLIGHT = "bold yellow"
_NOTHING_FOUND = "Nothing found. Try fewer or different words."
_NOTHING_SIMILAR = "No picture of the library is like it."
_MARGIN = "     "
_COUNTED = 1000  # a search by words may stop counting there


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(help='Words, "phrases", -not, tag:X, folder:X.', autocompletion=search_filters),
    ] = None,
    similar: Annotated[
        Path | None,
        typer.Option(
            "--similar", help="Find pictures like this file; with words, those of them.", metavar="PICTURE"
        ),
    ] = None,
    mode: Annotated[
        Literal["fused", "keyword", "semantic"],
        typer.Option("--mode", help="By words and meaning (fused), by words, or by meaning."),
    ] = "fused",
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, max=1000, help="Maximum results; default: search.limit."),
    ] = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print only the paths, one on each line.")] = False,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Print only the paths, each ended by a null, for xargs -0.")
    ] = False,
    opens: Annotated[
        bool, typer.Option("--open", help="Open the first result in the system's viewer.")
    ] = False,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="Print the path of each result's thumbnail too.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find pictures by their words and by their meaning."""
    out = get_output(json=json, quiet=quiet)
    if similar is None and not words:
        raise SettingsError("Nothing to search for.", hint="give some words: `smallsight search cat monday`.")
    if out.json and (paths or null):
        raise SettingsError("--json cannot be combined with --paths or -0.", hint="leave one out.")
    result, data = _search(as_query(words or []), similar, mode, limit)
    if paths or null:
        _print_paths(result, "\0" if null else "\n")
    elif out.json:
        out.emit(data)
    else:
        _print_result(out, result, data, with_thumbnails=thumbnails, has_words=bool(words))
    if similar is None:
        _explain_what_is_missing(out, result, mode)
    if opens and result.hits:
        open_file(result.hits[0].path)


def _search(
    query: str, similar: Path | None, mode: str, limit: int | None
) -> tuple[SearchResult, list[dict[str, Any]]]:
    """Return what was found, and the hits as data."""
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    with Application(load_settings(), for_writing=False) as application:
        if mode == "keyword":
            application.use_words_only()
        if similar is not None:
            from smallsight.services.likeness import find_similar

            result = find_similar(application, similar, query, limit)
        else:
            from smallsight.library.search.searcher import Mode

            result = application.searcher.search(query, mode=Mode(mode), limit=limit)
        return result, [hit_as_data(hit, application.thumbnail(hit.thumbnail_key)) for hit in result.hits]


def separate_minus_words(arguments: list[str]) -> list[str]:
    """Move words like ``-monday`` of a search behind ``--``, so that they are not parsed as options."""
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command not in {"search", "export"} or "--" in arguments:
        return arguments
    minus_words = [argument for argument in arguments if _MINUS_WORD.fullmatch(argument)]
    others = [argument for argument in arguments if not _MINUS_WORD.fullmatch(argument)]
    return [*others, "--", *minus_words] if minus_words else arguments


def hit_as_data(hit: Hit, thumbnail: Path | None) -> dict[str, Any]:
    """Return a hit as plain data for ``--json``; paths are absolute."""
    return {
        "path": str(hit.path),
        "other_paths": [str(path) for path in hit.other_paths],
        "score": round(hit.score, 6),
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "found_by": list(hit.found_by),
        "excerpt": hit.excerpt,
        "highlights": [list(span) for span in hit.highlights],
        "text": hit.ocr_text,
        "description": hit.description,
        "tags": list(hit.tags),
        "width_px": hit.width_px,
        "height_px": hit.height_px,
        "thumbnail": None if thumbnail is None else str(thumbnail),
    }


def print_hit(out: Output, number: int, hit: Hit, thumbnail: str | None = None) -> None:
    """Print one hit as text: its path, how it was found, an excerpt, and its thumbnail's path if given."""
    from rich.text import Text

    how = ", ".join(way.replace("_", " ") for way in hit.found_by)
    if hit.similarity is not None:
        how += f" {hit.similarity:.2f}"
    head = Text(f"{number:>3}. ", style="dim")
    head.append(on_one_line(hit.path), style=f"bold link {hit.path.as_uri()}")
    if how:
        head.append(f"  ({how})", style="dim")
    _print_indented(out, head)
    if hit.excerpt:
        excerpt = Text(hit.excerpt)
        for start, end in hit.highlights:
            excerpt.stylize(_HIGHLIGHT, start, end)
        _print_indented(out, Text(_MARGIN).append_text(_one_line(excerpt)))
    for path in hit.other_paths:
        _print_indented(out, Text(f"{_MARGIN}same picture: {on_one_line(path)}", style="dim"))
    if thumbnail is not None:
        _print_indented(out, Text(f"{_MARGIN}thumbnail: {on_one_line(thumbnail)}", style="dim"))


def _print_indented(out: Output, line: Text) -> None:
    """Print a line; what does not fit on a terminal goes on below, indented like a result's text."""
    from rich.text import Text

    width = out.console.width
    if out.console.soft_wrap or line.cell_len <= width:
        out.console.print(line, soft_wrap=True)
        return
    first, *rest = line.wrap(out.console, width - len(_MARGIN))
    out.console.print(first, soft_wrap=True)
    for part in rest:
        out.console.print(Text(_MARGIN).append_text(part), soft_wrap=True)


def _print_paths(result: SearchResult, end: str) -> None:
    """Print the paths as they are, also with line breaks: programs read them."""
    for hit in result.hits:
        shown = str(hit.path) if end == "\0" else on_one_line(hit.path)
        sys.stdout.write(f"{shown}{end}")


def _print_result(
    out: Output, result: SearchResult, data: list[dict[str, Any]], *, with_thumbnails: bool, has_words: bool
) -> None:
    _report_corrections(out, result)
    for number, (hit, one) in enumerate(zip(result.hits, data, strict=True), start=1):
        print_hit(out, number, hit, one["thumbnail"] if with_thumbnails else None)
    if not result.hits:
        out.note(_NOTHING_FOUND if has_words else _NOTHING_SIMILAR)
    elif result.total > len(result.hits):
        out.note(f"[dim]{len(result.hits):,} of {_total_text(result.total)}; -n shows more.[/]")


def _total_text(total: int) -> str:
    """Return the total; above a thousand a search by words stops counting."""
    return f"{total:,}" if total < _COUNTED else f"{total:,} or more"


def _explain_what_is_missing(out: Output, result: SearchResult, mode: str) -> None:
    """Say how to get descriptions if no word was found and there are none, and how to search by meaning."""
    is_certain = any("keyword" in hit.found_by or not hit.found_by for hit in result.hits)
    if not result.has_descriptions and not is_certain:
        out.note(
            "[dim]No picture is described, so only words in pictures, names and tags were searched. "
            "`smallsight index --model NAME` describes what they show.[/]"
        )
    if not result.semantic_available and mode != "keyword":
        out.note("[dim]Searched by words only; `smallsight doctor` explains how to search by meaning.[/]")


def _report_corrections(out: Output, result: SearchResult) -> None:
    from rich.markup import escape

    for word, better in result.corrections.items():
        out.note(
            f"[dim]No picture contains [bold]{escape(word)}[/]; searched for {escape(', '.join(better))}.[/]"
        )


def as_query(words: list[str]) -> str:
    """Join the shell's words; one with a space was quoted there and becomes a phrase."""
    return " ".join(
        f'"{word}"' if " " in word and len(words) > 1 and '"' not in word else word for word in words
    )


def _one_line(text: Text) -> Text:
    """Replace line breaks with slashes, keeping the highlights."""
    from rich.text import Text

    return Text(" / ").join(text.split("\n")) if "\n" in text.plain else text
