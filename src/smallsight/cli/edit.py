"""``smallsight edit``: a person's words about one picture, several, or all that a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smallsight.cli.completion import tag_names
from smallsight.cli.confirmation import YesFlag, can_ask, confirm
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.picture import report_details
from smallsight.cli.units import counted
from smallsight.errors import NotInLibraryError, SettingsError, SmallsightError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.edits import EditReport, WordChange
    from smallsight.library.word_state import Changes
    from smallsight.services.application import Application

_DONE = (
    "[dim]Words are searchable now; `smallsight index` updates the search by meaning. "
    "`smallsight undo` takes the edit back.[/]"
)
_MAX_UNASKED = 20  # pictures of a search that are changed without a question
_MAX_LINES = 20
_PROGRESS_FROM = 100
_PAGE = 1_000


@dataclass(slots=True)
class _Chosen:
    """The pictures to edit by content id, each with a path, and the errors of those that cannot be."""

    paths: dict[int, Path] = field(default_factory=dict)
    problems: list[tuple[Path, SmallsightError]] = field(default_factory=list)


_Search = Annotated[
    str | None,
    typer.Option("--search", metavar="QUERY", help="Edit all pictures that `smallsight search QUERY` finds."),
]
_ModeOption = Annotated[
    Literal["fused", "keyword", "semantic"],
    typer.Option("--mode", help="Of --search: by words and meaning (fused), by words, or by meaning."),
]


def edit(
    pictures: Annotated[list[Path] | None, typer.Argument(help="Pictures of the library.")] = None,
    search: _Search = None,
    mode: _ModeOption = "fused",
    description: Annotated[
        str | None, typer.Option("--description", help="Your description; empty to remove it.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="The corrected text; empty to have it read again.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag to add.", autocompletion=tag_names)
    ] = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", help="A tag to remove.", autocompletion=tag_names)
    ] = None,
    yes: YesFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Describe, correct or tag pictures yourself.

    A model never overwrites what you write.
    """
    from smallsight.library.edits import WordChange
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    change = WordChange(description, text, tuple(tag or ()), tuple(untag or ()))
    _check(change, pictures, search)
    with Application.for_editing(load_settings()) as application:
        if search is not None:
            chosen = _found(application, search, mode)
            _ask_about_search(out, search, change, len(chosen.paths), yes=yes)
        else:
            chosen = _named(application, pictures or [])
            if change.has_text and len(chosen.paths) > 1:
                confirm(out, f"Give {len(chosen.paths):,} pictures the same words", yes=yes)
        report = _edit(out, application, chosen, change)
        is_one = search is None and len(pictures or []) == 1
        (_report_one if is_one else _report_many)(out, application, chosen, report)
        _report_missing_tags(out, application, chosen, report, is_printed=out.json and not is_one)
    if report.changed:
        out.note(_DONE)
    if chosen.problems:
        raise typer.Exit(chosen.problems[0][1].exit_code)


def _check(change: WordChange, pictures: Sequence[Path] | None, search: str | None) -> None:
    if change.is_empty:
        raise SettingsError(
            "Nothing to change.",
            hint="use --description, --text, --tag or --untag; `smallsight show` only prints.",
        )
    if pictures and search is not None:
        raise SettingsError("Pictures and --search contradict each other.", hint="leave one out.")
    if not pictures and search is None:
        raise SettingsError("No picture to edit.", hint="name pictures, or use --search QUERY.")
    change.check()


def _named(application: Application, pictures: Sequence[Path]) -> _Chosen:
    """Look paths up; one alone that is not in the library raises its error."""
    chosen = _Chosen()
    for path, found in application.library.find_contents(pictures).items():
        if isinstance(found, int):
            chosen.paths.setdefault(found, path)
        elif len(pictures) == 1:
            raise found
        else:
            chosen.problems.append((path, found))
    return chosen


def _found(application: Application, query: str, mode: str) -> _Chosen:
    from smallsight.library.search.searcher import Mode

    if Mode(mode) is Mode.KEYWORD:
        application.use_words_only()
    chosen = _Chosen()
    while True:
        hits = application.searcher.search(query, mode=Mode(mode), limit=_PAGE, offset=len(chosen.paths)).hits
        chosen.paths |= {hit.content_id: hit.path for hit in hits}
        if len(hits) < _PAGE:
            return chosen


def _ask_about_search(out: Output, query: str, change: WordChange, number: int, *, yes: bool) -> None:
    """Say how many pictures there are, and ask if these are many or get the same text."""
    if not number:
        raise NotInLibraryError(
            f"No picture was found for {query!r}.", hint="`smallsight search` shows what a search finds."
        )
    pictures = counted(number, "picture")
    out.note(f"Found {pictures}.")
    if not can_ask(out) or number > _MAX_UNASKED or (change.has_text and number > 1):
        confirm(out, f"Edit {pictures} ({change.summary})", yes=yes)


def _edit(out: Output, application: Application, chosen: _Chosen, change: WordChange) -> EditReport:
    from smallsight.library.edits import edit_contents

    ids = list(chosen.paths)
    if len(ids) < _PROGRESS_FROM:
        return edit_contents(application.database, ids, change)
    with out.progress("Editing pictures", len(ids), "pictures") as bar:
        return edit_contents(application.database, ids, change, bar.advance)


def _report_one(out: Output, application: Application, chosen: _Chosen, report: EditReport) -> None:
    """Print what changed in a line, or as JSON everything that is known now."""
    if not out.json:
        _print_changes(out, chosen, report)
        return
    if not report.changed and report.tags_not_there:
        return  # an error follows
    (content_id,) = chosen.paths
    details = application.library.details(content_id)
    side_px = application.settings.index.ocr_max_side_px
    report_details(out, details, application.thumbnail(details.sha256), side_px)


def _report_many(out: Output, _: Application, chosen: _Chosen, report: EditReport) -> None:
    num_changed = sum(content_id in report.changed for content_id in chosen.paths)
    if not out.json:
        if len(chosen.paths) <= _MAX_LINES:
            _print_changes(out, chosen, report)
        for path, error in chosen.problems:
            out.err.print(f"{on_one_line(path)}: {on_one_line(error.message)}", markup=False)
        out.note(f"{num_changed:,} changed, {len(chosen.paths) - num_changed:,} unchanged.")
        return
    rows: list[dict[str, Any]] = [
        {"path": str(path.expanduser().absolute()), "changed": content_id in report.changed, "error": None}
        for content_id, path in chosen.paths.items()
    ]
    rows += [
        {"path": str(path), "changed": False, "error": {"code": error.code, "message": error.message}}
        for path, error in chosen.problems
    ]
    out.emit(
        {
            "edit": report.edit_id,
            "changed": num_changed,
            "tags_not_there": list(report.tags_not_there),
            "pictures": rows,
        }
    )


def _print_changes(out: Output, chosen: _Chosen, report: EditReport) -> None:
    for content_id, path in chosen.paths.items():
        said = describe_changes(report.changed.get(content_id, {})) or "unchanged"
        out.console.print(f"{on_one_line(path)}: {on_one_line(said)}", markup=False)


def describe_changes(changes: Changes) -> str:
    """Return what changed of one picture in a few words; empty if nothing did."""
    parts = []
    for key, (before, after) in changes.items():
        kind, _, name = key.partition(" ")
        if kind == "tag":
            shown = (after or before or {}).get("name", name)
            verb = "untagged" if after is None else "tagged" if before is None else "took over the tag"
            parts.append(f"{verb} {shown}")
        elif kind == "description":
            parts.append("description written" if after and after["description"] else "description removed")
        elif kind == "text":
            parts.append("text corrected" if after and after["ocr_text"] else "text to be read again")
    return "; ".join(parts)


def _report_missing_tags(
    out: Output, application: Application, chosen: _Chosen, report: EditReport, *, is_printed: bool
) -> None:
    """Say which tags could not be removed; raises NotInLibraryError if nothing else was done.

    With ``is_printed`` a JSON document that names the tags has been printed already.
    """
    if not report.tags_not_there or not chosen.paths:
        return
    named = ", ".join(map(repr, report.tags_not_there))
    if len(chosen.paths) == 1:
        (content_id,) = chosen.paths
        tags = application.library.details(content_id).tags
        has = f"its tags are {', '.join(tags)}" if tags else "it has no tags"
        message, hint = f"This picture has no tag {named}", has
    else:
        message, hint = f"None of these pictures has the tag {named}", "`smallsight tags` lists all tags"
    error = NotInLibraryError(f"{message}.", hint=f"{hint}.")
    if not report.changed and is_printed:
        raise typer.Exit(error.exit_code)
    if not report.changed:
        raise error
    from rich.markup import escape

    out.note(f"[yellow]{escape(on_one_line(f'{message}; {hint}.'))}[/]")
