"""Changes of several pictures at once: those that were selected, or all that a search finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import ArgumentError
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.ignored import ignore_contents
from smallsight.web.describe_pages import begin_run
from smallsight.web.gallery_pages import find_all
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.languages import translate_count as tn
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.record_ids import parse_record_id
from smallsight.web.visitor import PageRight, Visitor

_MAX_SELECTED = 100_000

Action = Callable[[WebParts, list[int], FormData], str]
"""Changes these contents, in a thread, and returns what was done, in words."""


async def change_many(request: Request) -> Response:
    """Do what the pressed button says to the selected pictures, and go back to the list."""
    parts, form = parts_of(request), await request.form()
    name = str(form.get("action", ""))
    action = ACTIONS.get(name)
    if action is None:
        raise ArgumentError("There is no such action.")
    visitor: Visitor = request.state.visitor
    visitor.require(PageRight.MANAGE if name in _FOR_MANAGERS else PageRight.EDIT)
    back = own_address(parts, form.get("back"))

    def work() -> str:
        ids = _chosen(parts, form, back)
        if not ids:
            raise ArgumentError("No picture is selected.", hint="select some first.")
        return action(parts, ids, form)

    return redirect_with_notice(back, await parts.in_thread(work), parts.prefix)


def own_address(parts: WebParts, given: object) -> str:
    """Return an address that a form names, if it is one of these pages, else that of the gallery."""
    home = f"{parts.prefix}/"
    if not isinstance(given, str) or "\\" in given:
        return home
    split = urlsplit(given)
    is_own = not split.scheme and not split.netloc and split.path.startswith(home)
    return given if is_own and not given.startswith("//") else home


def _chosen(parts: WebParts, form: FormData, back: str) -> list[int]:
    if form.get("all") == "yes":
        fields = dict(parse_qsl(urlsplit(back).query))
        search = GallerySearch.from_fields(fields, parts.prefix)
        return find_all(parts, search)
    given = [str(one) for one in form.getlist("id")][:_MAX_SELECTED]
    numbers = map(parse_record_id, given)
    return list(dict.fromkeys(one for one in numbers if one is not None))


def _tag(parts: WebParts, ids: list[int], form: FormData) -> str:
    names = _tag_names(form)
    report = edit_contents(parts.library.editing().database, ids, WordChange(tags_added=names))
    return tn(len(report.changed), "{number} picture tagged.", "{number} pictures tagged.")


def _untag(parts: WebParts, ids: list[int], form: FormData) -> str:
    names = _tag_names(form)
    report = edit_contents(parts.library.editing().database, ids, WordChange(tags_removed=names))
    if report.tags_not_there:
        return t("None of them has the tag {name}.", name=report.tags_not_there[0])
    return tn(
        len(report.changed), "Tag removed from {number} picture.", "Tag removed from {number} pictures."
    )


def _tag_names(form: FormData) -> tuple[str, ...]:
    names = tuple(one.strip() for one in str(form.get("tag", "")).split(",") if one.strip())
    if not names:
        raise ArgumentError("No tag was named.", hint="write one beside the buttons.")
    return names


def _describe(parts: WebParts, ids: list[int], form: FormData) -> str:  # noqa: ARG001 - an Action
    return begin_run(parts, ids, title=t("Selected pictures"), replaces=True)


def _leave_out(parts: WebParts, ids: list[int], form: FormData) -> str:  # noqa: ARG001 - an Action
    ignore_contents(parts.library.editing().database, ids)
    return tn(len(ids), "{number} picture left out of the index.", "{number} pictures left out of the index.")


_FOR_MANAGERS = frozenset({"describe", "forget"})
ACTIONS: Mapping[str, Action] = {"tag": _tag, "untag": _untag, "describe": _describe, "forget": _leave_out}
