"""Runs a search for ``smallsight search`` and prints what it found; does not parse the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallsight.cli.output import Output, get_output
from smallsight.errors import SettingsError
from smallsight.policy.clock_text import clock_text
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

    from smallsight.library.search.hits import Hit
    from smallsight.library.search.searcher import SearchResult

_HIGHLIGHT = "bold yellow"
_NOTHING_FOUND = "Nothing found. Try fewer or different words."
_NOTHING_SIMILAR = "No picture of the library is like it."
_MARGIN = "     "
_COUNTED = 1000  # a search by words may stop counting there


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What was typed after ``smallsight search``."""

    words: tuple[str, ...] = ()
    similar: Path | None = None
    mode: str = "fused"
    sort: str = "relevance"
    limit: int | None = None
    paths: bool = False
    null: bool = False
    opens: bool = False
    thumbnails: bool = False
    json: bool = False
    quiet: bool = False


def search_and_print(options: SearchOptions) -> None:
    """Search, print, and open the first result if that is wanted."""
    out = get_output(json=options.json, quiet=options.quiet)
    if options.similar is None and not options.words:
        raise SettingsError("Nothing to search for.", hint="give some words: `smallsight search cat monday`.")
    if out.json and (options.paths or options.null):
        raise SettingsError("--json cannot be combined with --paths or -0.", hint="leave one out.")
    result, data = _search(as_query(options.words), options)
    if options.paths or options.null:
        _print_paths(result, "\0" if options.null else "\n")
    elif out.json:
        out.emit(data)
    else:
        _print_result(out, result, data, options)
    if options.similar is None:
        _explain_what_is_missing(out, result, options.mode)
    if options.opens and result.hits:
        from smallsight.cli.opening import open_file

        open_file(result.hits[0].path)


def _search(query: str, options: SearchOptions) -> tuple[SearchResult, list[dict[str, Any]]]:
    """Return what was found, and the hits as data."""
    from smallsight.library.search.text_index import Sort
    from smallsight.services.application import Application
    from smallsight.settings_snapshot import load_library_settings

    with Application(load_library_settings(), for_writing=False) as application:
        if options.mode == "keyword":
            application.use_words_only()
        if options.similar is not None:
            from smallsight.services.likeness import find_similar
            from smallsight.settings import load_settings

            result = find_similar(
                application, load_settings(), options.similar, query, options.limit, Sort(options.sort)
            )
        else:
            from smallsight.library.search.searcher import Mode

            result = application.searcher.search(
                query, mode=Mode(options.mode), limit=options.limit, sort=Sort(options.sort)
            )
        return result, [hit_as_data(hit, application.thumbnail(hit.thumbnail_key)) for hit in result.hits]


def hit_as_data(hit: Hit, thumbnail: Path | None) -> dict[str, Any]:
    """Return a hit as plain data for ``--json``; paths are absolute."""
    from smallsight.library.local_time import iso_text

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
        "taken": iso_text(hit.date_wall_s, hit.date_offset_min),
        "date_origin": hit.date_origin,
        "camera": hit.camera,
        "kind": hit.kind,
        "duration_s": None if hit.duration_s is None else round(hit.duration_s, 3),
        "found_at_s": None if hit.found_at_s is None else round(hit.found_at_s, 3),
    }


def print_hit(out: Output, number: int, hit: Hit, thumbnail: str | None = None) -> None:
    """Print one hit as text: its path, how it was found, an excerpt, and its thumbnail's path if given."""
    how = ", ".join(way.replace("_", " ") for way in hit.found_by)
    if hit.similarity is not None:
        how += f" {hit.similarity:.2f}"
    if hit.found_at_s is not None:
        how += f" at {clock_text(hit.found_at_s)}"
    head = [f"{number:>3}. ", on_one_line(hit.path), f"  ({how})" if how else ""]
    more = [f"{_MARGIN}same picture: {on_one_line(path)}" for path in hit.other_paths]
    if thumbnail is not None:
        more.append(f"{_MARGIN}thumbnail: {on_one_line(thumbnail)}")
    excerpt = (hit.excerpt or "").replace("\n", " / ")
    if not out.print_plainly("".join(head), *([_MARGIN + excerpt] if excerpt else ()), *more):
        _print_styled(out, hit, head, more)


def _print_styled(out: Output, hit: Hit, head: Sequence[str], more: Sequence[str]) -> None:
    from rich.text import Text

    number, path, how = head
    line = Text(number, style="dim")
    line.append(path, style=f"bold link {hit.path.as_uri()}")
    line.append(how, style="dim")
    _print_indented(out, line)
    if hit.excerpt:
        excerpt = Text(hit.excerpt)
        for start, end in hit.highlights:
            excerpt.stylize(_HIGHLIGHT, start, end)
        _print_indented(out, Text(_MARGIN).append_text(_one_line(excerpt)))
    for one in more:
        _print_indented(out, Text(one, style="dim"))


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
    out: Output, result: SearchResult, data: list[dict[str, Any]], options: SearchOptions
) -> None:
    _report_corrections(out, result)
    for number, (hit, one) in enumerate(zip(result.hits, data, strict=True), start=1):
        print_hit(out, number, hit, one["thumbnail"] if options.thumbnails else None)
    if not result.hits:
        out.note_dimly(_NOTHING_FOUND if options.words else _NOTHING_SIMILAR)
    elif result.total > len(result.hits):
        out.note_dimly(f"{len(result.hits):,} of {_total_text(result.total)}; -n shows more.")


def _total_text(total: int) -> str:
    """Return the total; above a thousand a search by words stops counting."""
    return f"{total:,}" if total < _COUNTED else f"{total:,} or more"


def _explain_what_is_missing(out: Output, result: SearchResult, mode: str) -> None:
    """Say how to get descriptions if no word was found and there are none, and how to search by meaning."""
    is_certain = any("keyword" in hit.found_by or not hit.found_by for hit in result.hits)
    if not result.has_descriptions and not is_certain:
        out.note_dimly(
            "No picture is described, so only words in pictures, names and tags were searched. "
            "`smallsight index --model NAME` describes what they show."
        )
    if not result.semantic_available and mode != "keyword":
        out.note_dimly("Searched by words only; `smallsight doctor` explains how to search by meaning.")


def _report_corrections(out: Output, result: SearchResult) -> None:
    for word, better in result.corrections.items():
        out.note_dimly(f"No picture contains {word}; searched for {', '.join(better)}.")


def as_query(words: Sequence[str]) -> str:
    """Join the shell's words; one with a space was quoted there and becomes a phrase, after its sign."""
    return " ".join(_as_phrase(word) if " " in word and len(words) > 1 else word for word in words)


def _as_phrase(word: str) -> str:
    if '"' in word:
        return word
    sign = word[0] if word[0] in "+-" else ""
    return f'{sign}"{word[len(sign) :]}"'


def _one_line(text: Text) -> Text:
    """Replace line breaks with slashes, keeping the highlights."""
    from rich.text import Text

    return Text(" / ").join(text.split("\n")) if "\n" in text.plain else text
