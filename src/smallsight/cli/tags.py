"""``smallsight tags``: lists the tags of the library, and renames, merges or removes them; see
``suggest_tags`` for suggestions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smallsight.cli.completion import tag_names
from smallsight.cli.confirmation import YesFlag, confirm
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.suggest_tags import suggest, vocabulary
from smallsight.cli.units import counted
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.edits import EditReport

_HELP = "List the tags, rename, merge or remove them, or suggest some."

tags_app = typer.Typer(help=_HELP, no_args_is_help=False)
tags_app.command("suggest")(suggest)
tags_app.command("vocabulary")(vocabulary)


@tags_app.callback(invoke_without_command=True)
def tags(context: typer.Context, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the tags, rename, merge or remove them, or suggest some."""
    out = get_output(json=json, quiet=quiet)
    if context.invoked_subcommand is None:
        list_all(json=out.json, quiet=out.quiet)


@tags_app.command("list")
def list_all(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the tags, the most used first.

    Each with the number of pictures that have it.
    """
    out = get_output(json=json, quiet=quiet)
    from smallsight.library.tags import list_tags
    from smallsight.services.application import Application
    from smallsight.settings_snapshot import load_library_settings

    with Application(load_library_settings(), for_writing=False) as application:
        found = list_tags(application.database)
    if out.json:
        out.emit(
            [
                {
                    "name": one.name,
                    "pictures": one.num_pictures,
                    "by_person": one.num_by_person,
                    "by_machine": one.num_by_machine,
                }
                for one in found
            ]
        )
        return
    from smallsight.cli.table import Column, ListRow, print_table

    columns = (
        Column("Tag"),
        *(Column(title, is_number=True) for title in ("Pictures", "Yours", "A model's")),
    )
    rows = [
        ListRow(
            (
                one.name,
                *(f"{n:,}" if n else "" for n in (one.num_pictures, one.num_by_person, one.num_by_machine)),
            )
        )
        for one in found
    ]
    print_table(out, columns, rows)
    if not found:
        out.note("No picture has a tag. Add one: [bold]smallsight edit PICTURE --tag NAME[/]")


@tags_app.command("rename")
def rename(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A tag, in any spelling.", autocompletion=tag_names)
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    yes: YesFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Rename a tag in all pictures. If the new name is a tag already, both become one."""
    from smallsight.library.edits import folded_tag
    from smallsight.library.tags import find_tag, rename_tag
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application.for_editing(load_settings()) as application:
        database = application.database
        existing = find_tag(database, new)
        if (
            existing is not None
            and folded_tag(old) != folded_tag(new)
            and find_tag(database, old) is not None
        ):
            confirm(out, f"There is a tag {existing} already. Merge {old} into it", yes=yes)
        report = rename_tag(database, old, new)
    _report(
        out,
        report,
        f"{old} is now {existing or new}" if folded_tag(old) != folded_tag(new) else f"{old} is now {new}",
    )


@tags_app.command("merge")
def merge(
    names: Annotated[
        list[str], typer.Argument(metavar="FROM... INTO", help="The tags to replace, then the one to keep.")
    ],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Replace several tags by one."""
    from smallsight.library.tags import merge_tags
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    if len(names) < 2:
        raise SettingsError("Two tags are needed.", hint="`smallsight tags merge FROM... INTO`.")
    *others, into = names
    with Application.for_editing(load_settings()) as application:
        report = merge_tags(application.database, others, into)
    _report(out, report, f"{', '.join(others)} merged into {into}")


@tags_app.command("rm", hidden=True)
@tags_app.command("remove")
def remove(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A tag, in any spelling.", autocompletion=tag_names)
    ],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Remove a tag from all pictures.

    No model adds it to them again.
    """
    from smallsight.library.tags import remove_tag
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application.for_editing(load_settings()) as application:
        report = remove_tag(application.database, name)
    _report(out, report, f"{name} removed")


def _report(out: Output, report: EditReport, what: str) -> None:
    if out.json:
        out.emit({"edit": report.edit_id, "pictures": len(report.changed)})
        return
    number = len(report.changed)
    out.console.print(f"{on_one_line(what)} ({counted(number, 'picture')})", markup=False)
    if number:
        out.note("[dim]`smallsight undo` takes it back.[/]")
