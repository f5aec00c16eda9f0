"""What makes the pages an app to install: the manifest, the service worker, and the offline page."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from smallsight.web.languages import current_language
from smallsight.web.languages import translate as t
from smallsight.web.parts import WebParts, parts_of

_PAPER, _ACCENT = "#f7f6f3", "#0f6e6a"
_ALWAYS_ASK = {"cache-control": "no-cache"}


async def manifest(request: Request) -> Response:
    """Return the manifest, in the language of the request."""
    parts = parts_of(request)
    home = f"{parts.prefix}/"
    data = {
        "id": home,
        "name": "Smallsight",
        "short_name": "Smallsight",
        "description": t("Find your pictures by what is in them"),
        "lang": current_language.get(),
        "start_url": home,
        "scope": home,
        "display": "standalone",
        "background_color": _PAPER,
        "theme_color": _ACCENT,
        "categories": ["photo", "utilities"],
        "icons": [
            {
                "src": parts.assets.url(f"icons/{name}"),
                "type": "image/png",
                "sizes": f"{side_px}x{side_px}",
                "purpose": purpose,
            }
            for name, side_px, purpose in (
                ("192.png", 192, "any"),
                ("512.png", 512, "any"),
                ("maskable-512.png", 512, "maskable"),
            )
        ],
        "share_target": {
            "action": f"{home}uploads/share",
            "method": "POST",
            "enctype": "multipart/form-data",
            "params": {"files": [{"name": "files", "accept": ["image/*", "video/*"]}]},
        },
    }
    return Response(json.dumps(data), media_type="application/manifest+json", headers=_ALWAYS_ASK)


async def worker(request: Request) -> Response:
    """Return the service worker for the assets of this version and the language of the request."""
    parts = parts_of(request)
    source = (files(__package__) / "worker.js").read_text("utf-8")
    addresses = parts.assets.urls()
    version = hashlib.sha256("\n".join([source, _offline_html(parts), *addresses]).encode()).hexdigest()[:16]
    filled = (
        source.replace('["@ASSETS@"]', json.dumps(addresses))
        .replace("@VERSION@", version)
        .replace("@APP@", parts.prefix)
    )
    return Response(filled, media_type="text/javascript", headers=_ALWAYS_ASK)


async def offline(request: Request) -> Response:
    """Return the page that the service worker shows when the server cannot be reached."""
    return Response(_offline_html(parts_of(request)), media_type="text/html", headers=_ALWAYS_ASK)


async def shared(request: Request) -> Response:
    """Return the page that asks before it adds what came from a phone's share menu."""
    return parts_of(request).pages.page(request, "shared.html")


def _offline_html(parts: WebParts) -> str:
    return parts.pages.text("offline.html", {})
