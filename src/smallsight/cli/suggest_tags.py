"""``smallsight tags suggest`` and ``vocabulary``: tags that a picture embedding model suggests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.confirmation import YesFlag, confirm
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.units import counted
from smallsight.errors import ArgumentError, SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.suggesting.suggested_pictures import SuggestedPicture
    from smallsight.library.suggesting.suggested_tags import SuggestedTag
    from smallsight.services.application import Application
    from smallsight.services.tag_suggestions import TagSuggester
    from smallsight.settings import Settings

_MAX_EXAMPLES = 3
_MAX_SHOWN = 50


def suggest(
    pictures: Annotated[
        list[Path] | None, typer.Argument(help="Pictures of the library; without any, all of them.")
    ] = None,
    query: Annotated[
        str | None, typer.Option("--query", help="Only pictures that this search finds, as in `search`.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only this tag; may be repeated.")] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", min=0, max=1, help="Least score; by default tags.min_score."),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Tag the pictures as suggested.")] = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Never suggest these tags for these pictures again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what --accept or --reject would do, and change nothing.")
    ] = False,
    yes: YesFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Suggest tags for pictures that a model has embedded."""
    out = get_output(json=json, quiet=quiet)
    if accept and reject:
        raise SettingsError("Suggestions cannot be accepted and rejected at once.", hint="give one of both.")
    if pictures and query:
        raise SettingsError("Pictures and a search cannot be combined.", hint="give one of both.")
    decision = None if dry_run else "accept" if accept else "reject" if reject else None
    _suggest(_Asked(pictures or [], query, tag or [], min_score, decision, yes), out)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command was called with; ``decision`` is "accept", "reject", or None to change nothing."""

    pictures: Sequence[Path]
    query: str | None
    tags: Sequence[str]
    min_score: float | None
    decision: str | None
    is_sure: bool


def _suggest(asked: _Asked, out: Output) -> None:
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    settings = load_settings()
    least = settings.tags.min_score if asked.min_score is None else asked.min_score
    changes = asked.decision is not None
    opened = Application.for_editing(settings) if changes else Application(settings, for_writing=False)
    with opened as application:
        ids = _chosen(application, asked.pictures, asked.query)
        suggester = _opened(application, settings, out)
        found = _only(_found(application, suggester, least, ids, out), suggester, asked.tags)
        edit_id = None
        if changes and found:
            number = counted(len({one.content_id for one in found}), "picture")
            what = f"{counted(len(found), 'suggestion')} for {number}"
            confirm(out, f"{str(asked.decision).capitalize()} {what}", yes=asked.is_sure)
            edit_id = _decide(application, suggester, found, accepts=asked.decision == "accept", out=out)
        if out.json:
            out.emit(_as_json(application, suggester, least, found, edit_id))
            return
        _print(application, out, found, is_by_picture=bool(asked.pictures))
    _note(out, suggester, found, least, edit_id, accepts=asked.decision == "accept")


def vocabulary(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Print the vocabulary in force.

    It may be written to a file and edited.
    """
    from smallsight.library.suggesting.vocabulary import load_vocabulary, shipped_vocabulary
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    path = load_settings().tags.vocabulary
    known = load_vocabulary(path)
    if out.json:
        things = known.things.values()
        rows = [{"tag": one.tag, "words": list(one.words), "prompts": list(one.prompts)} for one in things]
        out.emit({"vocabulary": known.source, "things": rows})
        return
    text = shipped_vocabulary() if path is None else path.expanduser().read_text("utf-8-sig")
    typer.echo(text, nl=not text.endswith("\n"))


def _chosen(application: Application, pictures: Sequence[Path], query: str | None) -> list[int] | None:
    """Return the chosen contents, None for all; raises NotInLibraryError."""
    if query is not None:
        return application.word_searcher.find_all(query)
    if not pictures:
        return None
    ids = []
    for found in application.library.find_contents(list(pictures)).values():
        if not isinstance(found, int):
            raise found
        ids.append(found)
    return ids


def _opened(application: Application, settings: Settings, out: Output) -> TagSuggester:
    from smallsight.library.suggesting.vocabulary import load_vocabulary
    from smallsight.services.tag_suggestions import open_suggester

    total = len(load_vocabulary(settings.tags.vocabulary).things)
    with out.progress("Reading the vocabulary", total, "things") as bar:
        opened = open_suggester(application, settings, lambda done: bar.update(completed=round(done * total)))
    assert opened is not None  # noqa: S101 - it is never stopped
    return opened


def _found(
    application: Application, suggester: TagSuggester, least: float, ids: list[int] | None, out: Output
) -> list[SuggestedTag]:
    from smallsight.library.suggesting.suggested_tags import count_vectors, suggest_tags

    total = count_vectors(application.database, suggester.vectors.embedder_key) if ids is None else len(ids)
    with out.progress("Comparing pictures", total, "pictures") as bar:
        return suggest_tags(application.database, suggester.vectors, least, ids, bar.advance)


def _only(found: list[SuggestedTag], suggester: TagSuggester, tags: Sequence[str]) -> list[SuggestedTag]:
    """Return the suggestions of some tags; raises ArgumentError for one that is not in the vocabulary."""
    from smallsight.library.edits import folded_tag

    if not tags:
        return found
    things = suggester.vocabulary.things
    for name in tags:
        if folded_tag(name) not in things:
            raise ArgumentError(
                f"{name!r} is not in {suggester.vocabulary.source}.",
                hint="`smallsight tags vocabulary` prints it.",
            )
    wanted = {things[folded_tag(name)].tag for name in tags}
    return [one for one in found if one.tag in wanted]


def _decide(
    application: Application,
    suggester: TagSuggester,
    found: Sequence[SuggestedTag],
    *,
    accepts: bool,
    out: Output,
) -> int | None:
    from smallsight.library.suggesting.suggested_tags import accept_suggestions, reject_suggestions

    total = len({one.content_id for one in found})
    with out.progress("Storing", total, "pictures") as bar:
        if accepts:
            report = accept_suggestions(application.database, found, suggester.model, bar.advance)
        else:
            report = reject_suggestions(application.database, found, bar.advance)
    return report.edit_id


def _as_json(
    application: Application,
    suggester: TagSuggester,
    least: float,
    found: Sequence[SuggestedTag],
    edit_id: int | None,
) -> dict[str, Any]:
    paths = _pictures(application, list(dict.fromkeys(one.content_id for one in found)))
    by_id: dict[int, list[dict[str, Any]]] = {}
    for one in found:
        by_id.setdefault(one.content_id, []).append({"tag": one.tag, "score": one.score})
    return {
        "model": suggester.model,
        "vocabulary": suggester.vocabulary.source,
        "min_score": least,
        "edit": edit_id,
        "pictures": [
            {"path": str(paths[content_id].path), "suggestions": suggestions}
            for content_id, suggestions in by_id.items()
            if content_id in paths
        ],
    }


def _pictures(application: Application, content_ids: Sequence[int]) -> dict[int, SuggestedPicture]:
    from smallsight.library.suggesting.suggested_pictures import suggested_pictures

    return suggested_pictures(application.database, content_ids)


def _print(
    application: Application, out: Output, found: Sequence[SuggestedTag], *, is_by_picture: bool
) -> None:
    """Print what each picture may be tagged with, or for each tag how many pictures, the best first."""
    from smallsight.cli.table import Column, ListRow, print_table

    if not found:
        return
    groups: dict[Any, list[SuggestedTag]] = {}
    for one in found:
        groups.setdefault(one.content_id if is_by_picture else one.tag, []).append(one)
    if is_by_picture:
        paths = _pictures(application, list(groups))
        rows = [
            ListRow((paths[key].path.name, ", ".join(f"{one.tag} {one.score:.2f}" for one in some)))
            for key, some in groups.items()
        ]
        print_table(out, (Column("Picture"), Column("Tags with their scores")), rows)
        return
    ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:_MAX_SHOWN]
    best = [
        (tag, len(some), sorted(some, key=lambda one: -one.score)[:_MAX_EXAMPLES]) for tag, some in ordered
    ]
    paths = _pictures(application, [one.content_id for _, _, some in best for one in some])
    rows = [
        ListRow(
            (
                tag,
                f"{number:,}",
                f"{some[0].score:.2f}",
                ", ".join(paths[one.content_id].path.name for one in some if one.content_id in paths),
            )
        )
        for tag, number, some in best
    ]
    columns = Column("Tag"), Column("Pictures", is_number=True), Column("Best", is_number=True)
    print_table(out, (*columns, Column("Such as")), rows)


def _note(
    out: Output,
    suggester: TagSuggester,
    found: Sequence[SuggestedTag],
    least: float,
    edit_id: int | None,
    *,
    accepts: bool,
) -> None:
    number = counted(len({one.content_id for one in found}), "picture")
    if edit_id is not None:
        verb = "tagged as suggested" if accepts else "will not get these suggestions again"
        out.console.print(on_one_line(f"{number} {verb}."), markup=False)
        out.note("[dim]`smallsight undo` takes it back.[/]")
    elif not found:
        out.note(f"Nothing is suggested with a score of {least:g} or more.")
    else:
        out.note(f"{number}, by {suggester.model}. Add [bold]--accept[/] or [bold]--reject[/] to decide.")
