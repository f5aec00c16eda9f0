"""The page of one picture: large, with the text in it, its words, and its neighbours in the search."""

from __future__ import annotations

import re
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.description_runs import is_being_described
from smallsight.library.description_versions import (
    DescriptionVersion,
    VersionSource,
    restore,
    versions_of,
)
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.library import PictureDetails
from smallsight.library.search.kinds import Kind
from smallsight.library.undo import undo
from smallsight.services.application import Application
from smallsight.web.describe_pages import default_model, model_names
from smallsight.web.display_routes import played_type
from smallsight.web.gallery_pages import tag_options
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.picture_facts import facts_of
from smallsight.web.picture_search import lines_of, marked_segments, neighbours
from smallsight.web.record_ids import parse_record_id
from smallsight.web.suggestion_pages import suggestions_of
from smallsight.web.tiles import thumbnail_url, tiles_of

_NUM_SIMILAR = 12
_UNKNOWN_SIZE = 1000, 1000
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


async def picture(request: Request) -> Response:
    """Return the page of a picture; ``at`` in its address is its position in the search."""
    parts = parts_of(request)
    content_id = int(request.path_params["content_id"])
    search = GallerySearch.from_fields(request.query_params, parts.prefix)
    wants_tags = "suggest" in request.query_params

    def values() -> dict[str, Any]:
        shown = _values(parts, search, content_id, _position(request))
        address = shown["address"]
        return shown | {
            "start_s": _start_s(request),
            "suggested": suggestions_of(parts, content_id) if wants_tags else None,
            "suggest_address": f"{address}{'&' if '?' in address else '?'}suggest=yes",
        }

    return parts.pages.page(request, "picture.html", await parts.in_thread(values))


async def edit(request: Request) -> Response:
    """Store what a person wrote, and show the page again."""
    parts, form = parts_of(request), await request.form()
    content_id = int(request.path_params["content_id"])
    change = _change(form)

    def store() -> None:
        application = parts.library.editing()
        _require(application, content_id)
        edit_contents(application.database, [content_id], change)

    await parts.in_thread(store)
    return _back(request, form, content_id)


async def description(request: Request) -> Response:
    """Return the part of the page with the description, while a model writes it."""
    parts = parts_of(request)
    content_id = int(request.path_params["content_id"])
    search = GallerySearch.from_fields(request.query_params, parts.prefix)

    def values() -> dict[str, Any]:
        application = parts.library.reading()
        details = application.library.details(content_id)
        return {
            "details": details,
            "address": search.picture_url(content_id, _position(request)),
            **_description_values(parts, application, details, search),
        }

    return parts.pages.page(request, "description.html", await parts.in_thread(values))


async def regenerate(request: Request) -> Response:
    """Let a model describe the picture again."""
    parts, form = parts_of(request), await request.form()
    content_id = int(request.path_params["content_id"])
    model = str(form.get("model", "")) or default_model(parts)

    def work() -> None:
        name = parts.library.reading().library.details(content_id).paths[0].name
        parts.descriptions.runner().regenerate(content_id, model=model, title=name)

    await parts.in_thread(work)
    return _back(request, form, content_id)


async def restore_description(request: Request) -> Response:
    """Put an earlier description back in force."""
    parts, form = parts_of(request), await request.form()
    content_id = int(request.path_params["content_id"])
    version = parse_record_id(form.get("version"))
    if version is None:
        raise ArgumentError("There is no such version of the description.")
    await parts.in_thread(lambda: restore(parts.library.editing().database, content_id, version))
    return _back(request, form, content_id)


async def undo_last(request: Request) -> Response:
    """Undo the last edit of the library."""
    parts, form = parts_of(request), await request.form()
    await parts.in_thread(lambda: undo(parts.library.editing().database, None))
    return _back(request, form, int(request.path_params["content_id"]))


def _values(parts: WebParts, search: GallerySearch, content_id: int, position: int | None) -> dict[str, Any]:
    application = parts.library.reading()
    details = application.library.details(content_id)
    facts = facts_of(application.database, content_id)
    if facts is None:
        raise NotInLibraryError("The file of this picture is gone.", hint="look at the other pictures.")
    size = (details.width_px, details.height_px) if details.width_px and details.height_px else _UNKNOWN_SIZE
    similar = application.searcher.similar(content_id, limit=_NUM_SIMILAR)
    alike = [hit for hit in similar.hits if "similar_picture" in hit.found_by]
    looks = [hit for hit in similar.hits if hit not in alike and "looks_like" in hit.found_by]
    related = [hit for hit in similar.hits if hit not in alike and hit not in looks]
    here = GallerySearch(parts.prefix)
    return {
        "details": details,
        "facts": facts,
        "search": search,
        "size": size,
        "address": search.picture_url(content_id, position),
        "picture_url": thumbnail_url(parts.prefix, details.sha256, 1600),
        "preview_url": thumbnail_url(parts.prefix, details.sha256, 320),
        "file_url": f"{parts.prefix}/files/{details.sha256}",
        "is_animation": facts.kind == Kind.ANIMATION,
        "played_type": played_type(details.format),
        "lines": [] if details.duration_s else lines_of(application, content_id, size, search.words),
        **_description_values(parts, application, details, search),
        "neighbours": neighbours(parts, search, content_id, position),
        "alike": tiles_of(alike, here, 0),
        "looks": tiles_of(looks, here, 0),
        "related": tiles_of(related, here, 0),
        "similar_address": here.url(similar=str(content_id)),
        "tag_address": lambda name: here.url(tag=name),
        "tag_options": tag_options(parts, application),
    }


def _description_values(
    parts: WebParts, application: Application, details: PictureDetails, search: GallerySearch
) -> dict[str, Any]:
    return {
        "description": marked_segments(application, details.description or "", search.words),
        "versions": versions_of(application.database, details.content_id),
        "version_author": _version_author,
        "models": parts.model_names.get(parts.serving.live.current(), lambda: model_names(parts)),
        "is_regenerating": is_being_described(application.database, details.content_id),
    }


def _version_author(version: DescriptionVersion) -> str:
    if version.source is VersionSource.HUMAN:
        return t("A person")
    if version.source is VersionSource.FILE:
        return version.origin or t("The file")
    return version.model or t("A model")


def _position(request: Request) -> int | None:
    at = request.query_params.get("at", "")
    return int(at) if at.isdecimal() and len(at) < 9 else None


def _start_s(request: Request) -> float | None:
    """Return where a video is to start, in seconds, which ``t`` in the address says."""
    at = request.query_params.get("t", "")
    return float(at) if _SECONDS.fullmatch(at) else None


def _change(form: FormData) -> WordChange:
    def text(name: str) -> str | None:
        value = form.get(name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else None

    added, removed = text("add_tag"), text("remove_tag")
    change = WordChange(
        description=text("description"),
        text=text("text"),
        tags_added=tuple(one.strip() for one in (added or "").split(",") if one.strip()),
        tags_removed=(removed,) if removed else (),
    )
    if change.is_empty:
        raise ArgumentError("Nothing to change.", hint="write something first.")
    return change


def _require(application: Application, content_id: int) -> None:
    application.library.details(content_id)  # raises NotInLibraryError


def _back(request: Request, form: FormData, content_id: int) -> Response:
    """Return to the page from which a form was sent; only to one of this app."""
    prefix = parts_of(request).prefix
    back = form.get("back")
    known = f"{prefix}/pictures/{content_id}"
    address = back if isinstance(back, str) and (back == known or back.startswith(f"{known}?")) else known
    return RedirectResponse(address, 303)
