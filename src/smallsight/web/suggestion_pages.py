"""Suggested tags: all of the library by tag, those of one picture, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, ModelUnavailableError
from smallsight.library.edits import EditReport, folded_tag
from smallsight.library.suggesting.suggested_pictures import SuggestedPicture, suggested_pictures
from smallsight.library.suggesting.suggested_tags import (
    SuggestedTag,
    accept_suggestions,
    reject_suggestions,
)
from smallsight.services.tag_suggestions import TagSuggester
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.languages import translate_count as tn
from smallsight.web.live_updates import Topic
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.record_ids import parse_record_id
from smallsight.web.tiles import thumbnail_url

_PER_TAG, _PER_PAGE = 8, 60
_MAX_TAGS = 100
_ACCEPT, _REJECT = "accept", "reject"


@dataclass(frozen=True, slots=True)
class SuggestedTile:
    """A picture that may get a tag."""

    content_id: int
    address: str
    thumbnail: str
    name: str
    width: int
    height: int
    score: float


@dataclass(frozen=True, slots=True)
class SuggestedGroup:
    """A tag, how many pictures may get it, and the best of them."""

    tag: str
    number: int
    tiles: tuple[SuggestedTile, ...]


async def suggested(request: Request) -> Response:
    """Return the suggestions by tag, those for most pictures first; with ``tag``, all pictures of one."""
    parts = parts_of(request)
    tag = request.query_params.get("tag", "").strip()
    least = _min_score(parts, request.query_params.get("min"))
    values = await parts.in_thread(lambda: _values(parts, tag, least))
    return parts.pages.page(request, "suggested_tags.html", values)


async def decide(request: Request) -> Response:
    """Accept or reject a tag for the chosen pictures, or for all with at least the score of the page."""
    parts, form = parts_of(request), await request.form()
    tag, least = str(form.get("tag", "")).strip(), _min_score(parts, form.get("min"))

    def work() -> str:
        suggester = _ready(parts)
        wanted = folded_tag(tag)
        found = [one for one in parts.suggestions.all(suggester, least) if folded_tag(one.tag) == wanted]
        if form.get("all") != "yes":
            ids = set(map(parse_record_id, form.getlist("id")))
            found = [one for one in found if one.content_id in ids]
        return _decided(parts, suggester, found, form)

    back = f"{parts.prefix}/tags/suggested?min={least:g}"
    return redirect_with_notice(back, await parts.in_thread(work), parts.prefix)


async def decide_for_one(request: Request) -> Response:
    """Accept or reject one tag for one picture, and show its page again."""
    parts, form = parts_of(request), await request.form()
    content_id, tag = int(request.path_params["content_id"]), str(form.get("tag", "")).strip()

    def work() -> None:
        suggester = _ready(parts)
        thing = suggester.vocabulary.things.get(folded_tag(tag))
        if thing is None:
            raise ArgumentError("This tag was not suggested.", hint="load the page again.")
        _decided(parts, suggester, [SuggestedTag(content_id, thing.tag, 0.0)], form)

    await parts.in_thread(work)
    back, known = str(form.get("back", "")), f"{parts.prefix}/pictures/{content_id}"
    is_own = back == known or back.startswith(f"{known}?")
    return RedirectResponse(back if is_own else f"{known}?suggest=yes", 303)


def suggestions_of(parts: WebParts, content_id: int) -> dict[str, Any]:
    """Return what the page of a picture shows of its suggestions; ``why`` says why there are none."""
    least = parts.serving.live.current().tags.min_score
    try:
        suggester = parts.suggestions.suggester()
    except ModelUnavailableError as error:
        return {"suggestions": [], "why": str(error)}
    if isinstance(suggester, float):
        return {"suggestions": [], "why": _reading(suggester)}
    found = parts.suggestions.of(suggester, content_id, least)
    return {"suggestions": found, "why": "" if found else t("Nothing is suggested for this picture.")}


def _values(parts: WebParts, tag: str, least: float) -> dict[str, Any]:
    values: dict[str, Any] = {"tag": tag, "least": least, "reading": "", "why": "", "total": 0}
    try:
        suggester = parts.suggestions.suggester()
    except ModelUnavailableError as error:
        return values | {"groups": (), "why": str(error)}
    if isinstance(suggester, float):
        return values | {"groups": (), "reading": _reading(suggester)}
    by_tag: dict[str, list[SuggestedTag]] = {}
    for one in parts.suggestions.all(suggester, least):
        if not tag or folded_tag(one.tag) == folded_tag(tag):
            by_tag.setdefault(one.tag, []).append(one)
    ordered = sorted(by_tag.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:_MAX_TAGS]
    best = [
        (name, len(some), sorted(some, key=lambda one: -one.score)[: _PER_PAGE if tag else _PER_TAG])
        for name, some in ordered
    ]
    shown = _pictures(parts, (one.content_id for _, _, some in best for one in some))
    here = GallerySearch(parts.prefix)
    groups = tuple(
        SuggestedGroup(
            name,
            number,
            tuple(_tile(here, shown[one.content_id], one.score) for one in some if one.content_id in shown),
        )
        for name, number, some in best
    )
    return values | {"groups": groups, "total": len(by_tag), "model": suggester.model}


def _pictures(parts: WebParts, content_ids: Iterable[int]) -> dict[int, SuggestedPicture]:
    return suggested_pictures(parts.library.reading().database, list(dict.fromkeys(content_ids)))


def _tile(here: GallerySearch, one: SuggestedPicture, score: float) -> SuggestedTile:
    return SuggestedTile(
        one.content_id,
        here.picture_url(one.content_id),
        thumbnail_url(here.prefix, one.sha256, 320),
        one.path.name,
        one.width_px or 320,
        one.height_px or 320,
        score,
    )


def _ready(parts: WebParts) -> TagSuggester:
    suggester = parts.suggestions.suggester()
    if isinstance(suggester, float):
        raise ArgumentError(_reading(suggester), hint="load the page again in a moment.")
    return suggester


def _decided(parts: WebParts, suggester: TagSuggester, found: list[SuggestedTag], form: FormData) -> str:
    """Store a decision and return what was done, in words."""
    action = form.get("action")
    if action not in (_ACCEPT, _REJECT):
        raise ArgumentError("There is no such action.")
    if not found:
        raise ArgumentError("No picture is selected.", hint="select some first.")
    database = parts.library.editing().database
    report: EditReport
    if action == _ACCEPT:
        report = accept_suggestions(database, found, suggester.model)
        done = tn(len(report.changed), "{number} picture tagged.", "{number} pictures tagged.")
    else:
        report = reject_suggestions(database, found)
        done = tn(
            len(report.changed),
            "Not suggested again for {number} picture.",
            "Not suggested again for {number} pictures.",
        )
    parts.updates.publish(Topic.LIBRARY)
    return done


def _reading(share: float) -> str:
    return t("The vocabulary is being read for the first time: {percent} %.", percent=round(100 * share))


def _min_score(parts: WebParts, given: object) -> float:
    """Return the least score of an address or form, by default the one of the settings."""
    usual = parts.serving.live.current().tags.min_score
    try:
        wanted = float(given) if isinstance(given, str) and given else usual
    except ValueError:
        return usual
    return wanted if 0 <= wanted <= 1 else usual
