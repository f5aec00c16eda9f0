"""``smallsight duplicates``: lists copies of pictures, and pictures that are similar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.duplicate_groups import DuplicateGroup, GroupMember


def duplicates(
    only_same: Annotated[
        bool, typer.Option("--same", help="Only copies: identical files, and the same picture.")
    ] = False,
    only_similar: Annotated[bool, typer.Option("--similar", help="Only pictures that are similar.")] = False,
    with_resolved: Annotated[
        bool, typer.Option("--all", help="Also the groups that you have decided about.")
    ] = False,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            min=0,
            max=32,
            help="Compare whole pictures only, by two hashes of which this many bits of 64 may differ.",
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List copies of pictures, and similar ones.

    Copies may be encoded again, cropped, mirrored, or have a border.
    """
    from smallsight.library.duplicate_groups import GroupKind, groups
    from smallsight.services.application import Application
    from smallsight.services.library_results import DuplicateGroups
    from smallsight.settings_snapshot import load_library_settings

    out = get_output(json=json, quiet=quiet)
    wants_both = only_same == only_similar
    found: list[DuplicateGroup] = []
    with Application(load_library_settings(), for_writing=False) as application:
        for kind, is_wanted in ((GroupKind.SAME, only_same), (GroupKind.SIMILAR, only_similar)):
            if is_wanted or wants_both:
                found += groups(application.database, kind, with_resolved=with_resolved).groups
        alike = None if bits is None else application.library.near_duplicates(bits)
    listed = DuplicateGroups.of(found)
    copies = listed.alike if alike is None else alike
    if out.json:
        lists = {"same": listed.same, "alike": copies, "similar": listed.similar}
        data = {name: _as_data(paths) for name, paths in lists.items()}
        out.emit({**data, "groups": [_group_data(one) for one in found]})
        return
    _print_groups(out, "Identical files", listed.same)
    if alike is not None:
        _print_groups(out, "Look alike", alike)
    _print_compared(out, [one for one in found if alike is None or one.kind is GroupKind.SIMILAR])
    if not found and not alike:
        out.note("No identical files, and no pictures that look alike.")


def _print_compared(out: Output, found: list[DuplicateGroup]) -> None:
    for one in found:
        if len(one.members) > 1:
            title = "Same picture" if one.kind == "same" else "Similar"
            _print_groups(out, f"{title} ({', '.join(one.reasons)})", [_first_paths(one)])


def _first_paths(group: DuplicateGroup) -> tuple[Path, ...]:
    return tuple(member.paths[0] for member in group.members)


def _as_data(groups: Sequence[tuple[Path, ...]]) -> list[list[str]]:
    return [[str(path) for path in group] for group in groups]


def _group_data(group: DuplicateGroup) -> dict[str, Any]:
    return {
        "kind": str(group.kind),
        "reasons": [str(reason) for reason in group.reasons],
        "resolved": group.is_resolved,
        "keep": group.keeper_id,
        "pictures": [_member_data(member) for member in group.members],
    }


def _member_data(member: GroupMember) -> dict[str, Any]:
    modified = datetime.fromtimestamp(member.modified_at_s, UTC).isoformat(timespec="seconds")
    return {
        "id": member.content_id,
        "paths": [str(path) for path in member.paths],
        "width_px": member.width_px,
        "height_px": member.height_px,
        "size_bytes": member.size_bytes,
        "format": member.format,
        "modified_at": modified,
    }


def _print_groups(out: Output, title: str, groups: Sequence[tuple[Path, ...]]) -> None:
    from rich.text import Text

    for group in groups:
        lines: list[Any] = [Text(f"{title}:", style="bold")]
        lines += [Text(f"  {on_one_line(path)}", style=f"link {path.as_uri()}") for path in group]
        for line in lines:
            out.console.print(line)
