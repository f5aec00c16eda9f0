"""The live page: a camera, a picture or a video, seen by a model on this machine again and again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from smallsight.services.describing import describing_model
from smallsight.web.parts import parts_of


async def live(request: Request) -> Response:
    """Return the page; its script sends frames to ``posted_picture``."""
    parts = parts_of(request)
    settings = parts.serving.live.current()
    names = await parts.in_thread(parts.models.overview.here)
    remotes = {name.casefold() for name in settings.remotes}
    values = {
        "here": [name for name in names if name.casefold() not in remotes],
        "elsewhere": sorted(settings.remotes),
        "chosen": settings.active_model or describing_model(settings),
    }
    return parts.pages.page(request, "live.html", values)
