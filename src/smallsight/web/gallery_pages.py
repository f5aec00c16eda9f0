"""The gallery: all pictures, or those that a search finds, as a page, as results, or as further tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import LibraryMissingError, NotEmbeddedError
from smallsight.http.error_shape import public_message
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.library.cameras import list_cameras
from smallsight.library.library import LibrarySummary
from smallsight.library.saved_searches import list_searches
from smallsight.library.search.likeness import Likeness
from smallsight.library.search.query import parse_query
from smallsight.library.search.searcher import SearchResult
from smallsight.library.search.text_index import Sort
from smallsight.library.tags import list_tags
from smallsight.library.timeline import months
from smallsight.services.application import Application
from smallsight.web.fresh_pictures import known_version, library_version
from smallsight.web.gallery_search import GallerySearch, kind_title, sort_titles
from smallsight.web.languages import current_language
from smallsight.web.page_renderer import RenderedPart
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.tiles import thumbnail_url, tiles_of
from smallsight.web.welcome_page import welcome_values

PAGE_SIZE = 60
TYPED_SIZE = 30  # the results while a search is typed are replaced by the next ones, mostly
_CLIENT_LEFT = 499
MAX_SIMILAR = 1000
_MAX_TAGS_OFFERED = 500
_MAX_START = 10_000_000
_NOTHING_FOUND = SearchResult((), 0, {}, semantic_available=True, has_descriptions=True, elapsed_ms=0.0)
_NO_TILES: dict[str, Any] = {"shown": [], "next_start": None}
_KINDS = ("", "photo", "animation", "video", "document", "picture")


@dataclass(frozen=True, slots=True)
class TileList:
    """What one request of the gallery needs from the library."""

    found: SearchResult
    tiles: RenderedPart


@dataclass(frozen=True, slots=True)
class ScrubberMonth:
    """A month, the position of its first picture, and whether it is the first one shown of its year."""

    year: int
    month: int
    count: int
    start: int
    starts_year: bool


async def gallery(request: Request) -> Response:
    """Return the whole page; without a library, the page that makes one."""
    return await _results(request, "gallery.html")


async def results(request: Request) -> Response:
    """Return the results of a search while it is typed.

    With ``complete`` in its address, what has a similar meaning is always among them.
    """
    try:
        # The browser cancels a request when the next key is typed; one that still waits is not started.
        return await while_connected(request.receive, _results(request, "results.html", TYPED_SIZE))
    except ClientLeftError:
        return Response(status_code=_CLIENT_LEFT)


async def tiles(request: Request) -> Response:
    """Return the next tiles of a list."""
    parts, search, start = parts_of(request), _search(request), _start(request)
    listing = await parts.in_thread(lambda: list_pictures(parts, search, start))
    return parts.pages.fragment(request, listing.tiles)


async def _results(request: Request, template: str, limit: int = PAGE_SIZE) -> Response:
    parts, search, start = parts_of(request), _search(request), _start(request)

    def page_values(is_quick: bool = False) -> dict[str, Any]:
        return _page_values(parts, search, start, limit, is_quick=is_quick)

    is_typed = limit == TYPED_SIZE and "complete" not in request.query_params
    try:
        values = await (parts.typed.run(page_values) if is_typed else parts.in_thread(page_values))
        is_empty = not values["folders"] and not search.is_search
    except LibraryMissingError:
        is_empty = True
    if is_empty:
        return parts.pages.page(request, "welcome.html", await parts.in_thread(lambda: welcome_values(parts)))
    return parts.pages.page(request, template, values)


def _page_values(
    parts: WebParts, search: GallerySearch, start: int, limit: int, *, is_quick: bool
) -> dict[str, Any]:
    application = parts.library.reading()
    problem = None
    try:
        listing = list_pictures(parts, search, start, limit, is_quick=is_quick)
    except NotEmbeddedError as error:  # words that are being typed must not replace the page
        listing, problem = TileList(_NOTHING_FOUND, parts.pages.part("tile_page.html", _NO_TILES)), error
    return {
        "search": search,
        "problem": None if problem is None else public_message(problem),
        "shown_like": _shown_like(parts, search),
        "start": start,
        "page_size": PAGE_SIZE,
        "found": listing.found,
        "tiles": listing.tiles,
        "sorts": sort_titles(is_search=bool(search.words) or search.is_by_picture),
        "kinds": [(kind, kind_title(kind)) for kind in _KINDS],
        "filters_open": False,
        **_offers(parts, application, search),
        "scrubber": _scrubber(parts, application, search),
        "summary": _summary(application) if not listing.found.hits else None,
        "library_version": library_version(parts),
        "known_version": known_version(parts),
    }


def _shown_like(parts: WebParts, search: GallerySearch) -> str | None:
    """Return the address of a small picture of the library that is searched by."""
    if not search.similar:
        return None
    details = parts.library.reading().library.details(int(search.similar))
    return thumbnail_url(parts.prefix, details.sha256, 320)


def list_pictures(
    parts: WebParts, search: GallerySearch, start: int, limit: int = PAGE_SIZE, *, is_quick: bool = False
) -> TileList:
    """Return the pictures of a search from position ``start`` on; raises LibraryMissingError.

    Those of the whole library are rendered once for everyone, until it changes.
    """
    if search.is_search:
        return _list_pictures(parts, search, start, limit, is_quick=is_quick)
    key = ("tiles", search, start, limit, current_language.get())
    lists = parts.library.reading().lists
    return lists.get(key, lambda: _list_pictures(parts, search, start, limit), may_lag=False)


def _list_pictures(
    parts: WebParts, search: GallerySearch, start: int, limit: int, *, is_quick: bool = False
) -> TileList:
    found = find(parts, search, start, limit, is_quick=is_quick)
    shown = tiles_of(found.hits, search, start)
    has_more = found.total > start + limit or (len(found.hits) == limit and not search.is_by_picture)
    next_start = start + limit if has_more and shown else None
    values = {"search": search, "shown": shown, "next_start": next_start}
    return TileList(found, parts.pages.part("tile_page.html", values))


def find(
    parts: WebParts, search: GallerySearch, start: int, limit: int, *, is_quick: bool = False
) -> SearchResult:
    """Run a search of the gallery; raises NotInLibraryError for a picture to search by that is gone."""
    application = parts.library.reading()
    searcher = application.searcher
    if search.is_by_picture:
        wanted: Likeness | int = int(search.similar) if search.similar else 0
        if search.like:
            wanted = parts.query_pictures.find(application, search.like)
        if isinstance(wanted, int):
            return _from(searcher.similar(wanted, words=search.query, limit=start + limit), start)
        return _from(searcher.similar_to(wanted, words=search.query, limit=start + limit), start)
    order = search.order or Sort.RELEVANCE
    return searcher.search(search.query, limit=limit, offset=start, sort=order, is_quick=is_quick)


def find_all(parts: WebParts, search: GallerySearch) -> list[int]:
    """Return the ids of all pictures that a search finds."""
    if search.is_by_picture:
        return [hit.content_id for hit in find(parts, search, 0, MAX_SIMILAR).hits]
    return parts.library.reading().searcher.find_all(search.query)


def _from(found: SearchResult, start: int) -> SearchResult:
    return SearchResult(
        found.hits[start:],
        found.total,
        found.corrections,
        found.semantic_available,
        found.has_descriptions,
        found.elapsed_ms,
    )


def _offers(parts: WebParts, application: Application, search: GallerySearch) -> dict[str, Any]:
    """Return what the filters offer: the folders, tags and cameras of the library."""
    database, lists = application.database, application.lists
    return {
        "folders": [str(path) for path in application.library.folder_paths()],
        "tag_options": tag_options(parts, application),
        "saved": [
            (one, GallerySearch.from_fields(one.fields, search.prefix).url())
            for one in list_searches(database)
        ],
        "cameras": lists.get("cameras", lambda: [one.name for one in list_cameras(database)]),
    }


def tag_options(parts: WebParts, application: Application) -> RenderedPart:
    """Return the tags that are offered while one is typed, rendered once until there may be others."""

    def render() -> RenderedPart:
        names = [one.name for one in list_tags(application.database)[:_MAX_TAGS_OFFERED]]
        return parts.pages.part("tag_options.html", {"tags": names})

    return application.lists.get("tag options", render)


def _scrubber(parts: WebParts, application: Application, search: GallerySearch) -> RenderedPart:
    """Return the months of a list, rendered once until there are others."""

    def render() -> RenderedPart:
        return parts.pages.part("scrubber.html", {"search": search, "months": _months(application, search)})

    if search.words or search.is_by_picture:  # has none
        return render()
    return application.lists.get(("scrubber", search, current_language.get()), render, may_lag=False)


def _months(application: Application, search: GallerySearch) -> list[ScrubberMonth]:
    """Return the months of a list by date; none for one in another order."""
    if search.sort not in ("", "newest") or search.words or search.is_by_picture:
        return []
    query = parse_query(search.query, application.settings.limits.max_query_chars)
    listed: list[ScrubberMonth] = []
    start = 0
    for one in application.lists.get(("months", query), lambda: months(application.database, query)):
        starts_year = not listed or listed[-1].year != one.year
        listed.append(ScrubberMonth(one.year, one.month, one.num_pictures, start, starts_year))
        start += one.num_pictures
    return listed


def _summary(application: Application) -> LibrarySummary:
    return application.lists.get("summary", application.library.summary)


def _search(request: Request) -> GallerySearch:
    return GallerySearch.from_fields(request.query_params, parts_of(request).prefix)


def _start(request: Request) -> int:
    given = request.query_params.get("start", "0")
    return min(int(given), _MAX_START) if given.isdecimal() and len(given) < 12 else 0
