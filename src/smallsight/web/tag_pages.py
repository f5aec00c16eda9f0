"""Tags in the settings page: names, colours, merging and removing; and the styles of their chips."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, LibraryMissingError
from smallsight.http.partial_reading import is_known_to_client
from smallsight.library.edits import folded_tag
from smallsight.library.tag_colours import colour_tag, tag_colours
from smallsight.library.tags import TagCount, list_tags, merge_tags, remove_tag, rename_tag
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.live_updates import Topic
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.tag_styles import tag_rules

_MAX_SHOWN = 200
_DEFAULT_COLOUR = "#0f6e6a"


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in the list; ``colour`` is "" if it has none, ``offered`` what the chooser starts with."""

    name: str
    num_pictures: int
    colour: str
    offered: str
    address: str


@dataclass(frozen=True, slots=True)
class TagList:
    """The tags whose names contain what was searched for; ``total`` counts those that are not shown too."""

    rows: tuple[TagRow, ...]
    total: int
    search: str


async def change(request: Request) -> Response:
    """Rename a tag and give it a colour, or none."""
    parts, form = parts_of(request), await request.form()
    name, new, colour = (str(form.get(field, "")).strip() for field in ("name", "new", "colour"))
    wanted = None if form.get("plain") or not colour else colour

    def store() -> None:
        database = parts.library.editing().database
        if wanted != tag_colours(database).get(folded_tag(name)):
            colour_tag(database, name, wanted)
        if new and new != name:
            rename_tag(database, name, new)

    return await _stored(parts, store, str(form.get("search", "")))


async def merge(request: Request) -> Response:
    """Replace the chosen tags by one."""
    parts, form = parts_of(request), await request.form()
    names = [one for one in form.getlist("tag") if isinstance(one, str)]
    into = str(form.get("into", "")).strip()
    if not names or not into:
        raise ArgumentError(
            "Choose the tags to merge, and write the name of the tag that replaces them.", hint="go back."
        )
    return await _stored(
        parts,
        lambda: merge_tags(parts.library.editing().database, names, into),
        str(form.get("search", "")),
    )


async def remove(request: Request) -> Response:
    """Remove a tag from all pictures."""
    parts, form = parts_of(request), await request.form()
    name = str(form.get("name", ""))
    return await _stored(
        parts, lambda: remove_tag(parts.library.editing().database, name), str(form.get("search", ""))
    )


async def colours(request: Request) -> Response:
    """Return the style rules of the tags that have a colour; browsers ask each time whether they changed."""
    parts = parts_of(request)

    def rules() -> str:
        try:
            return tag_rules(tag_colours(parts.library.reading().database))
        except LibraryMissingError:
            return ""

    text = await parts.in_thread(rules)
    mark = f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
    headers = {"etag": mark, "cache-control": "private, no-cache"}
    if is_known_to_client(request.headers, mark):
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="text/css", headers=headers)


def listed_tags(parts: WebParts, search: str) -> TagList | None:
    """Return the tags for the settings page, None without a library."""
    try:
        database = parts.library.reading().database
    except LibraryMissingError:
        return None
    wanted = search.strip().casefold()
    found = [one for one in list_tags(database) if wanted in one.name.casefold()]
    known = tag_colours(database)
    here = GallerySearch(parts.prefix)
    rows = tuple(_row(one, known.get(folded_tag(one.name), ""), here) for one in found[:_MAX_SHOWN])
    return TagList(rows, len(found), search.strip())


def _row(one: TagCount, colour: str, here: GallerySearch) -> TagRow:
    return TagRow(one.name, one.num_pictures, colour, colour or _DEFAULT_COLOUR, here.url(tag=one.name))


async def _stored(parts: WebParts, store: Callable[[], object], search: str) -> Response:
    await parts.in_thread(store)
    parts.updates.publish(Topic.LIBRARY)
    query = f"?{urlencode({'tags': search})}" if search else ""
    return RedirectResponse(f"{parts.prefix}/settings{query}#tags", 303)
