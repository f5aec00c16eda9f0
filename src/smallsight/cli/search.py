"""``smallsight search``: finds pictures by words, or by another picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.output import JsonFlag, Output, QuietFlag, get_output
from smallsight.errors import NotInLibraryError, SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

    from smallsight.library.search.hits import Hit
    from smallsight.library.search.searcher import SearchResult
    from smallsight.services.application import Application

_MINUS_WORD = re.compile(r"-(?!-)(?!n\d+$)..+", re.DOTALL)  # not -q, not -n 5, not -n5
_MODES = ("fused", "keyword", "semantic")
_HIGHLIGHT = "bold yellow"


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='Words, "phrases", -not, tag:X, folder:X.')
    ] = None,
    similar: Annotated[
        Path | None, typer.Option("--similar", help="Find pictures like this one instead.", metavar="PICTURE")
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", help="fused (both), keyword (words) or semantic (meaning).")
    ] = "fused",
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, max=1000, help="Maximum results; default: search.limit."),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find pictures by their words and by their meaning."""
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    if mode not in _MODES:
        raise SettingsError(f"--mode cannot be {mode!r}.", hint=f"use one of {', '.join(_MODES)}.")
    if similar is None and not words:
        raise SettingsError("Nothing to search for.", hint="give some words: `smallsight search cat monday`.")
    with Application(load_settings(), for_writing=False) as application:
        if similar is not None:
            hits = find_similar(application, similar, limit or application.settings.search.limit)
            _report(out, application, hits)
            return
        from smallsight.library.search.searcher import Mode

        if Mode(mode) is Mode.KEYWORD:
            application.use_words_only()
        result = application.searcher.search(as_query(words or []), mode=Mode(mode), limit=limit)
        _report_corrections(out, result)
        _report(out, application, result.hits)
        _explain_missing_descriptions(out, result)
        if not result.semantic_available and mode != "keyword":
            out.note("[dim]Searched by words only; `smallsight doctor` explains how to search by meaning.[/]")


def separate_minus_words(arguments: list[str]) -> list[str]:
    """Move words like ``-monday`` of a search behind ``--``, so that they are not parsed as options."""
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command not in {"search", "export"} or "--" in arguments:
        return arguments
    minus_words = [argument for argument in arguments if _MINUS_WORD.fullmatch(argument)]
    others = [argument for argument in arguments if not _MINUS_WORD.fullmatch(argument)]
    return [*others, "--", *minus_words] if minus_words else arguments


def find_similar(application: Application, path: Path, limit: int) -> list[Hit]:
    """Return the pictures most like the one at path, which must be in the library."""
    if not path.expanduser().exists():
        raise NotInLibraryError(f"No such file: {path}", hint="check the path.")
    content_id = application.library.find_content(path)
    return list(application.searcher.similar(content_id, limit=limit))


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


def print_hit(out: Output, number: int, hit: Hit, thumbnail: Path | None) -> None:
    """Print one hit as text: its path, how it was found, an excerpt, and its thumbnail's path."""
    from rich.text import Text

    how = ", ".join(way.replace("_", " ") for way in hit.found_by)
    if hit.similarity is not None:
        how += f" {hit.similarity:.2f}"
    head = Text(f"{number:>3}. ", style="dim")
    head.append(on_one_line(hit.path), style=f"bold link {hit.path.as_uri()}")
    head.append(f"  ({how})", style="dim")
    out.console.print(head)
    if hit.excerpt:
        excerpt = Text(hit.excerpt)
        for start, end in hit.highlights:
            excerpt.stylize(_HIGHLIGHT, start, end)
        out.console.print(Text("     ").append_text(_one_line(excerpt)))
    for path in hit.other_paths:
        out.console.print(Text(f"     same picture: {on_one_line(path)}", style="dim"))
    if thumbnail is not None:
        out.console.print(Text(f"     thumbnail: {on_one_line(thumbnail)}", style="dim"))


def _report(out: Output, application: Application, hits: list[Hit] | tuple[Hit, ...]) -> None:
    if out.json:
        out.emit([hit_as_data(hit, application.thumbnail(hit.thumbnail_key)) for hit in hits])
        return
    for number, hit in enumerate(hits, start=1):
        print_hit(out, number, hit, application.thumbnail(hit.thumbnail_key))
    if not hits:
        out.note("Nothing found. Try fewer or different words.")


def _explain_missing_descriptions(out: Output, result: SearchResult) -> None:
    """Say how to get descriptions when none of the words was found and nothing says what pictures show."""
    is_certain = any("keyword" in hit.found_by or not hit.found_by for hit in result.hits)
    if not result.has_descriptions and not is_certain:
        out.note(
            "[dim]No picture is described, so only words in pictures, names and tags were searched. "
            "`smallsight index --model NAME` describes what they show.[/]"
        )


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
