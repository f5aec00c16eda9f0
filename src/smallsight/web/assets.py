"""The scripts, styles and icons of the pages: read once, addressed by digest, cached by browsers for good."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from smallsight.http.partial_reading import is_known_to_client
from smallsight.web.ratio_styles import ratio_styles

_FOREVER = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}
_IMPORT = re.compile(rb"""((?:from|import)[ (]*["'])(\.[^"'?]+\.js)(["'])""")
_SMALL_BYTES = 600  # below, compressing saves nothing


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; ``compressed`` is None where gzip does not make it smaller."""

    data: bytes
    compressed: bytes | None
    media_type: str
    digest: str


class Assets:
    """All files below ``static``, in memory; a few hundred KiB."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        data = dict(_read(files(__package__) / "static")) | {"ratios.css": ratio_styles().encode()}
        self._assets: dict[str, Asset] = {}
        for name in data:
            self._add(name, data)

    def _add(self, name: str, data: Mapping[str, bytes]) -> Asset:
        """Add an asset, after the modules that it imports: their addresses in it have their digests."""

        def with_digest(match: re.Match[bytes]) -> bytes:
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2].decode()))
            return match[1] + match[2] + b"?v=" + self._add(imported, data).digest.encode() + match[3]

        if name not in self._assets:
            is_own_script = name.endswith(".js") and not name.startswith("vendor/")
            linked = _IMPORT.sub(with_digest, data[name]) if is_own_script else data[name]
            self._assets[name] = _asset(name, linked)
        return self._assets[name]

    def url(self, name: str) -> str:
        """Return the address of an asset, which changes with its bytes; raises KeyError."""
        return f"{self._prefix}/static/{name}?v={self._assets[name].digest}"

    def urls(self) -> list[str]:
        """Return the addresses of all assets, in alphabetical order."""
        return [self.url(name) for name in sorted(self._assets)]

    def respond(self, request: Request) -> Response:
        """Return an asset; without its digest in the address it is not cached."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        headers = {"vary": "accept-encoding", "etag": f'"{asset.digest}"'}
        is_named = request.query_params.get("v") == asset.digest
        headers["cache-control"] = _FOREVER if is_named else "no-cache"
        if is_known_to_client(request.headers, headers["etag"]):
            return Response(status_code=304, headers=headers)
        data = asset.data
        if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            data = asset.compressed
            headers["content-encoding"] = "gzip"
        return Response(data, media_type=asset.media_type, headers=headers)


def _read(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _read(entry, f"{prefix}{entry.name}/")
        else:
            found.append((f"{prefix}{entry.name}", entry.read_bytes()))
    return found


def _asset(name: str, data: bytes) -> Asset:
    suffix = name[name.rfind(".") :]
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = gzip.compress(data, 9, mtime=0) if len(data) > _SMALL_BYTES else data
    digest = hashlib.sha256(data).hexdigest()[:12]
    return Asset(data, packed if len(packed) < len(data) else None, media_type, digest)
