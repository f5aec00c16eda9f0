"""Pictures of the library as resources: a record in JSON, and the picture in two sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smallsight.errors import NotInLibraryError
from smallsight.library.search.hits import Hit
from smallsight.mcp.answers import record_of, safe
from smallsight.mcp.library_tools import LARGE_PX, SMALL_PX
from smallsight.mcp.parts import McpParts
from smallsight.services.library_pictures import ADDRESS

PER_PAGE = 50
_MAX_TITLE_CHARS, _MAX_SHOWN_CHARS = 120, 120
_ADDRESS = re.compile(re.escape(ADDRESS) + r"(?P<id>[0-9]{1,18})(?:/(?P<size>thumbnail|preview))?", re.ASCII)
_SIZES = {"thumbnail": SMALL_PX, "preview": LARGE_PX}
TEMPLATES = (
    ("picture", ADDRESS + "{id}", "application/json", "Everything known of a picture."),
    ("thumbnail", ADDRESS + "{id}/thumbnail", "image/jpeg", f"A picture, at most {SMALL_PX} pixels."),
    ("preview", ADDRESS + "{id}/preview", "image/jpeg", f"A picture, at most {LARGE_PX} pixels."),
)


@dataclass(frozen=True, slots=True)
class ListedPicture:
    """A picture in the list of resources."""

    address: str
    name: str
    title: str
    size_bytes: int


async def list_pictures(parts: McpParts, offset: int) -> tuple[list[ListedPicture], int | None]:
    """Return one page of pictures, the newest first, and where the next begins; none without a library."""
    if not await parts.in_thread(lambda: parts.library.exists):
        return [], None
    found = await parts.in_thread(lambda: parts.searcher().search("", limit=PER_PAGE, offset=offset))
    end = offset + len(found.hits)
    return [_listed(hit) for hit in found.hits], end if found.hits and end < found.total else None


async def read_picture(parts: McpParts, address: str) -> str | bytes:
    """Return the record of a picture as JSON, or the picture as JPEG; raises NotInLibraryError."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise NotInLibraryError(
            f"There is no such resource: {safe(address, _MAX_SHOWN_CHARS)}", hint=f"use {ADDRESS}ID."
        )
    known = await parts.find(match["id"])
    if match["size"] is None:
        return record_of(known).model_dump_json()
    return await parts.jpeg(known.sha256, _SIZES[match["size"]])


def _listed(hit: Hit) -> ListedPicture:
    return ListedPicture(
        f"{ADDRESS}{hit.content_id}",
        safe(hit.path.name, _MAX_TITLE_CHARS),
        safe(hit.description or hit.ocr_text or hit.path.name, _MAX_TITLE_CHARS),
        hit.size_bytes,
    )
