"""Duplicates side by side: a person says which to keep; the others go to the trash after a confirmation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import ArgumentError, LibraryError
from smallsight.library.alike.pairs import Reason
from smallsight.library.duplicate_groups import DuplicateGroup, GroupKind, GroupMember, groups, resolve
from smallsight.library.ignored import list_ignored, stop_ignoring
from smallsight.library.remove_files import remove_file
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.languages import translate_count as tn
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.record_ids import parse_record_id
from smallsight.web.tiles import thumbnail_url

_PER_PAGE = 10
_MAX_START = 1_000_000
_MAX_IGNORED = 500


@dataclass(frozen=True, slots=True)
class ShownMember:
    """A picture of a group, with what sets it apart from the others."""

    member: GroupMember
    number: int
    address: str
    thumbnail: str
    is_keeper: bool
    is_largest: bool


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group as the page shows it."""

    group: DuplicateGroup
    members: list[ShownMember]
    reasons: list[str]

    @property
    def ids(self) -> str:
        """The ids of its members, for the form."""
        return ",".join(str(number) for number in self.group.content_ids)


@dataclass(slots=True)
class DecisionOutcome:
    """How many files were removed, and why the others could not be."""

    num_removed: int = 0
    problems: list[LibraryError] = field(default_factory=list)


async def duplicates(request: Request) -> Response:
    """Return a page of groups."""
    parts = parts_of(request)
    kind = GroupKind.SIMILAR if request.query_params.get("kind") == "similar" else GroupKind.SAME
    shows_all = request.query_params.get("resolved") == "yes"
    given = request.query_params.get("start", "0")
    start = min(int(given), _MAX_START) if given.isdecimal() and len(given) < 9 else 0

    def values() -> dict[str, Any]:
        database = parts.library.reading().database
        page = groups(database, kind, _PER_PAGE, start, with_resolved=shows_all)
        shown = [_shown(parts, group) for group in page.groups]
        following = start + _PER_PAGE if start + _PER_PAGE < page.total else None
        return {
            "kind": kind.value,
            "groups": shown,
            "total": page.total,
            "start": start,
            "following": following,
            "shows_all": shows_all,
        }

    return parts.pages.page(request, "duplicates.html", await parts.in_thread(values))


async def decide(request: Request) -> Response:
    """Remember a decision about a group; files are removed only after a second, explicit confirmation."""
    parts, form = parts_of(request), await request.form()
    ids = _numbers(str(form.get("ids", "")).split(","))
    kept = ids if form.get("action") == "keep_all" else _numbers(form.getlist("keep"))
    kind = "similar" if form.get("kind") == "similar" else "same"
    back = f"{parts.prefix}/duplicates?kind={kind}"
    if not ids:
        raise ArgumentError("No group was named.", hint="load the duplicates again.")
    removed = [one for one in ids if one not in kept]
    if removed and form.get("confirmed") != "yes":
        values = await parts.in_thread(lambda: _to_confirm(parts, ids, kept, removed, kind))
        return parts.pages.page(request, "remove_files.html", values)
    ended = await parts.in_thread(lambda: _decide(parts, ids, kept, removed, form))
    if ended.problems:
        values = {"num_removed": ended.num_removed, "problems": ended.problems, "back": back}
        return parts.pages.page(request, "not_removed.html", values, ended.problems[0].http_status)
    if removed:
        message = tn(ended.num_removed, "{number} file removed.", "{number} files removed.")
    else:
        message = t("All are kept; this group is not shown again.")
    return redirect_with_notice(back, message, parts.prefix)


async def left_out(request: Request) -> Response:
    """Return the pictures that were removed from the index."""
    parts = parts_of(request)

    def values() -> dict[str, Any]:
        ignored = list_ignored(parts.library.reading().database)
        return {"ignored": ignored[:_MAX_IGNORED], "total": len(ignored)}

    return parts.pages.page(request, "left_out.html", await parts.in_thread(values))


async def take_back(request: Request) -> Response:
    """Put pictures back into the index; the next scan reads them again."""
    parts, form = parts_of(request), await request.form()
    hashes = [str(one) for one in form.getlist("sha256")]
    number = await parts.in_thread(lambda: stop_ignoring(parts.library.editing().database, hashes))
    parts.keeper.scan()
    message = tn(number, "{number} picture is indexed again.", "{number} pictures are indexed again.")
    return redirect_with_notice(f"{parts.prefix}/left-out", message, parts.prefix)


def reason_texts(reasons: tuple[Reason, ...]) -> list[str]:
    """Return reasons in words for people."""
    texts = {
        Reason.IDENTICAL: t("identical files"),
        Reason.ENCODED: t("encoded again"),
        Reason.RESIZED: t("other size"),
        Reason.FORMAT: t("other format"),
        Reason.BORDER: t("border added"),
        Reason.CROP: t("cropped"),
        Reason.CAPTION: t("caption added"),
        Reason.RETOUCHED: t("small part changed"),
        Reason.MIRRORED: t("mirrored"),
        Reason.TURNED: t("turned"),
        Reason.OTHER_WORDS: t("same template, other words"),
        Reason.OTHER_COLOURS: t("other colours"),
        Reason.SCENE: t("same scene"),
    }
    return [texts[reason] for reason in reasons]


def _shown(parts: WebParts, group: DuplicateGroup) -> ShownGroup:
    most_pixels = max((one.width_px or 0) * (one.height_px or 0) for one in group.members)
    search = GallerySearch(parts.prefix)
    keeps_all = group.kind is GroupKind.SIMILAR
    members = [
        ShownMember(
            one,
            number,
            search.picture_url(one.content_id),
            thumbnail_url(parts.prefix, one.sha256, 640),
            keeps_all or one.content_id == group.keeper_id,
            (one.width_px or 0) * (one.height_px or 0) == most_pixels,
        )
        for number, one in enumerate(group.members, start=1)
    ]
    return ShownGroup(group, members, reason_texts(group.reasons))


def _to_confirm(
    parts: WebParts, ids: list[int], kept: list[int], removed: list[int], kind: str
) -> dict[str, Any]:
    library = parts.library.reading().library
    files = [path for content_id in removed for path in library.details(content_id).paths]
    return {"files": files, "ids": ids, "kept": kept, "kind": kind}


def _decide(
    parts: WebParts, ids: list[int], kept: list[int], removed: list[int], form: FormData
) -> DecisionOutcome:
    """Remove files, and remember the decision unless some could not be removed: then the group stays."""
    library, editing = parts.library.reading().library, parts.library.editing()
    shown_files = {str(one) for one in form.getlist("file")}
    for_good = form.get("for_good") == "yes"
    outcome = DecisionOutcome()
    for content_id in removed:
        details = library.details(content_id)
        for path in details.paths:
            if str(path) not in shown_files:
                continue  # it has appeared since the person confirmed
            try:
                remove_file(editing.database, Path(path), details.sha256, for_good=for_good)
                outcome.num_removed += 1
            except LibraryError as error:
                outcome.problems.append(error)
    if not outcome.problems:
        resolve(editing.database, ids, kept)
    return outcome


def _numbers(given: list[Any]) -> list[int]:
    texts = [str(one) for one in given]
    numbers = map(parse_record_id, texts)
    return list(dict.fromkeys(one for one in numbers if one is not None))
