"""Opens pictures and videos by the URLs in a request: data: URLs, or files fetched over HTTP.

Never a path: any other URL is refused without looking at it further.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from smallsight.answering.question import Link, VideoLink
from smallsight.errors import BadRequestError, PictureTooLargeError
from smallsight.http.remote_pictures import RemotePictures
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage, NamedVideo, RecalledPicture
from smallsight.services.decoding_threads import DecodingThreads

Opened: TypeAlias = NamedImage | RecalledPicture | NamedVideo
_SHOWN_CHARS = 40
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")  # RFC 4648, section 5
_SHORT_CHARS = 256 * 1024
_PIECE_BYTES = 1024 * 1024


class PictureLinks:
    """Opens the pictures and videos of requests."""

    def __init__(
        self,
        decoding: DecodingThreads,
        remote: RemotePictures,
        *,
        max_pictures: int,
        max_pixels: int,
        max_videos: int,
    ) -> None:
        """``max_pixels`` limits all pictures and frames of one request together."""
        self._decoding = decoding
        self._remote = remote
        self._max_pictures = max_pictures
        self._max_pixels = max_pixels
        self._max_videos = max_videos

    async def gather(self, links: Sequence[Link]) -> dict[str, NamedBytes]:
        """Return the file behind each URL; raises BadRequestError and PictureTooLargeError."""
        if len(links) > self._max_pictures:
            raise BadRequestError(
                f"The request has {len(links)} pictures (limit {self._max_pictures}).",
                hint="send fewer at once.",
            )
        num_videos = sum(isinstance(link, VideoLink) for link in links)
        if num_videos > self._max_videos:
            raise BadRequestError(
                f"The request has {num_videos} videos (limit {self._max_videos}).",
                hint="send fewer at once, or raise server.max_videos.",
            )
        urls = list(dict.fromkeys(link.url for link in links))
        files = await asyncio.gather(*(self._gather_one(url) for url in urls))
        return dict(zip(urls, files, strict=True))

    async def open(
        self, files: Mapping[str, NamedBytes], links: Sequence[Link], model: Model, detail: str
    ) -> dict[Link, Opened]:
        """Decode the files behind links, each once; of a video, the frames that the model samples.

        Pictures that the model still has in its cache are not decoded again.

        Raises subclasses of PictureError, also when all together have too many pixels.
        """
        opened: dict[tuple[type[Link], str], Opened] = {}
        num_pixels = 0
        for link in links:
            key = (type(link), link.url)
            if key in opened:
                continue
            if isinstance(link, VideoLink):
                opened[key] = await self._decoding.open_video(files[link.url], model.frame_sampling)
            else:
                file = files[link.url]
                digest = hashlib.sha256(file.data).digest()
                known = model.recall(file.name or None, digest, detail)
                opened[key] = await self._decoding.open(file, digest) if known is None else known
            num_pixels += _num_pixels(opened[key])
            if num_pixels > self._max_pixels:
                raise PictureTooLargeError(
                    f"The pictures of one request have too many pixels: {num_pixels} or more "
                    f"(limit {self._max_pixels}).",
                    hint="send fewer or smaller ones, or raise limits.max_image_pixels.",
                )
        return {link: opened[type(link), link.url] for link in links}

    async def _gather_one(self, url: str) -> NamedBytes:
        url = url.strip()  # as browsers do
        if url[:5].lower() == "data:":
            if len(url) <= _SHORT_CHARS:
                return picture_in(url)
            return await asyncio.to_thread(picture_in, url)  # takes too long for the event loop
        if url[:6].lower().startswith(("http:", "https:")):
            fetched = await self._remote.fetch(url)
            return NamedBytes(fetched.name, fetched.data)
        raise BadRequestError(
            f"A picture cannot be read from {_shown(url)}.",
            hint="send it as a data: URL, base64.",
            param="image_url",
        )


def picture_in(url: str) -> NamedBytes:
    """Return the bytes in a data: URL, with the file name if it has one; raises BadRequestError.

    Source: RFC 2397; the parameter ``;name=cat.png`` is an extension of browsers.
    """
    head, comma, body = url[5:].partition(",")
    parameters = [one.strip() for one in head.split(";")]
    if not comma or not body:
        raise BadRequestError("A data: URL has no data.", hint="data:image/png;base64,...", param="image_url")
    name = next((one[5:] for one in parameters if one.lower().startswith("name=")), "")
    if parameters[-1].lower() != "base64":
        return NamedBytes(_text_of(name), unquote_to_bytes(body))
    try:
        written = unquote_to_bytes(body) if "%" in body else body.encode("ascii")
        return NamedBytes(_text_of(name), _from_base64(written))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadRequestError(
            "The data of a data: URL is not base64.", hint="encode the whole file.", param="image_url"
        ) from error


def _from_base64(written: bytes) -> bytes:
    """Decode base64 piece by piece, so that other threads run in between; raises binascii.Error."""
    decoded = bytearray()
    left = b""
    for start in range(0, len(written), _PIECE_BYTES):
        piece = left + b"".join(written[start : start + _PIECE_BYTES].split()).translate(_FROM_URL_SAFE)
        num_whole = max(0, len(piece) - 4) // 4 * 4  # the end may be padding: it is decoded last
        if b"=" in piece[:num_whole]:
            raise binascii.Error("data after the padding")
        decoded += binascii.a2b_base64(piece[:num_whole], strict_mode=True)
        left = piece[num_whole:]
    return bytes(decoded + binascii.a2b_base64(left + b"=" * (-len(left) % 4), strict_mode=True))


def _num_pixels(shown: Opened) -> int:
    if isinstance(shown, NamedImage):
        return shown.size[0] * shown.size[1]
    if isinstance(shown, RecalledPicture):
        return shown.picture.size[0] * shown.picture.size[1]
    return sum(frame.pixels_HWC.shape[0] * frame.pixels_HWC.shape[1] for frame in shown.video.frames)


def _text_of(name: str) -> str:
    return unquote_to_bytes(name).decode("utf-8", "replace")


def _shown(url: str) -> str:
    return repr(url if len(url) <= _SHOWN_CHARS else url[:_SHOWN_CHARS] + "...")
