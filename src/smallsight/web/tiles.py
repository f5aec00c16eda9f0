"""A picture as the gallery shows it: address, size, names, and why it was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smallsight.library.search.hits import Hit
from smallsight.library.search.kinds import Kind
from smallsight.policy.clock_text import clock_text
from smallsight.web.colour_preview import colour_preview
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.ratio_styles import ratio_class

_MAX_TAGS = 6
_UNKNOWN_SIDE_PX = 320


@dataclass(frozen=True, slots=True)
class ShownTile:
    """One picture in a list; ``excerpt`` is in segments, each with whether it matched the search."""

    content_id: int
    address: str
    thumbnail: str
    preview: str | None
    large_thumbnail: str
    width: int
    height: int
    ratio_class: str
    name: str
    alt: str
    date_wall_s: float | None
    is_file_date: bool
    is_moving: bool
    duration: str | None
    excerpt: tuple[tuple[str, bool], ...]
    reasons: tuple[str, ...]
    tags: tuple[str, ...]
    description: str | None


def tiles_of(hits: Sequence[Hit], search: GallerySearch, start: int) -> list[ShownTile]:
    """Return the tiles for the hits of a search from position ``start`` on."""
    address = search.picture_urls()
    return [
        _tile(hit, search.prefix, address(hit.content_id, start + number)) for number, hit in enumerate(hits)
    ]


def thumbnail_url(prefix: str, sha256: str, side_px: int) -> str:
    """Return the address of a content at a size of ``DisplayPictures``."""
    return f"{prefix}/thumbs/{side_px}/{sha256}"


def _tile(hit: Hit, prefix: str, address: str) -> ShownTile:
    return ShownTile(
        content_id=hit.content_id,
        address=address if hit.found_at_s is None else f"{address}&t={hit.found_at_s:.2f}",
        thumbnail=thumbnail_url(prefix, hit.thumbnail_key, 320),
        preview=colour_preview(hit.colours),
        large_thumbnail=thumbnail_url(prefix, hit.thumbnail_key, 640),
        width=hit.width_px or _UNKNOWN_SIDE_PX,
        height=hit.height_px or _UNKNOWN_SIDE_PX,
        ratio_class=ratio_class(hit.width_px, hit.height_px),
        name=hit.path.name,
        alt=(hit.description or hit.ocr_text or hit.path.name)[:200],
        date_wall_s=hit.date_wall_s,
        is_file_date=hit.date_origin is None,
        is_moving=hit.kind in (Kind.ANIMATION, Kind.VIDEO),
        duration=None if hit.duration_s is None else clock_text(hit.duration_s),
        excerpt=tuple(segments(hit.excerpt, hit.highlights)) if hit.found_by else (),
        reasons=tuple(reasons(hit)),
        tags=hit.tags[:_MAX_TAGS],
        description=hit.description,
    )


def segments(text: str, highlights: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a text, each with whether it is highlighted."""
    end = 0
    for begin, stop in highlights:
        if begin > end:
            yield text[end:begin], False
        yield text[begin:stop], True
        end = stop
    if end < len(text):
        yield text[end:], False


def reasons(hit: Hit) -> Iterator[str]:
    """Yield why a picture was found, in words for people."""
    names = {
        "text": t("text in the picture"),
        "description": t("description"),
        "tag": t("tag"),
        "name": t("name"),
        "folder": t("folder"),
    }
    yield from (names[field] for field in hit.matched_in)
    if "typo" in hit.found_by:
        yield t("a similar spelling")
    if "semantic" in hit.found_by and hit.similarity is not None:
        yield t("meaning ({percent} %)", percent=round(100 * hit.similarity))
    if "looks_like" in hit.found_by and hit.found_at_s is not None:
        yield t("what it shows at {time}", time=clock_text(hit.found_at_s))
    elif "looks_like" in hit.found_by:
        yield t("what the picture shows")
    if "similar_picture" in hit.found_by:
        yield t("it looks alike")
    if "similar_text" in hit.found_by:
        yield t("its words are similar")
