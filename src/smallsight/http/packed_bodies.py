"""Unpacks the bodies of requests that come in gzip or deflate, before their size is limited.

Source: RFC 9110, sections 8.4 and 12.5.3.
"""

from __future__ import annotations

import zlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smallsight.errors import BadRequestError, ServerError, UnsupportedEncodingError
from smallsight.http.error_shape import ErrorShapes, error_response

__all__ = ["PackedBodies"]

_PIECE_BYTES = 256 * 1024  # unpacked at once: the layer inside counts each before the next is made
_ANY_HEADER = 32  # of zlib: has it tell gzip and zlib apart, with the largest window
_READ = {"gzip", "x-gzip", "deflate"}
_ABOUT_PACKED = {b"content-encoding", b"content-length"}


class PackedBodies:
    """An ASGI layer around the limit of bodies; the application inside sees plain ones."""

    def __init__(self, app: ASGIApp, shapes: ErrorShapes) -> None:
        self._app = app
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with a plain body, or refuse it."""
        named = "" if scope["type"] != "http" else ",".join(Headers(scope=scope).getlist("content-encoding"))
        packings = [
            one.strip().lower() for one in named.split(",") if one.strip().lower() not in ("", "identity")
        ]
        if not packings:
            await self._app(scope, receive, send)
            return
        if len(packings) > 1 or packings[0] not in _READ:
            await self._refuse(_not_read(named), scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in _ABOUT_PACKED]
        body = _PackedBody(receive)
        try:
            await self._app({**scope, "headers": headers}, body.receive, send)
        except _Damaged:
            damaged = BadRequestError(
                f"The body is not {packings[0]}, or cut short.", hint="send it without Content-Encoding."
            )
            await self._refuse(damaged, scope, receive, send)

    async def _refuse(self, error: ServerError, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(error, self._shapes.at(scope))
        response.headers["connection"] = "close"  # the rest of the body is not read
        if error.http_status == UnsupportedEncodingError.http_status:
            response.headers["accept-encoding"] = "gzip, deflate"
        await response(scope, receive, send)


def _not_read(named: str) -> ServerError:
    return UnsupportedEncodingError(
        f"A body with Content-Encoding {named} is not read.", hint="send it in gzip, or without."
    )


class _Damaged(BaseException):
    """What arrived cannot be unpacked. No ``Exception``: the application inside would answer it."""


class _PackedBody:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._stream = zlib.decompressobj(zlib.MAX_WBITS + _ANY_HEADER)
        self._packed = b""
        self._is_last = False
        self._has_ended = False
        self._is_empty = True

    async def receive(self) -> Message:
        """Return a message with the next piece of the plain body; other messages as they are."""
        while not self._has_ended:
            if not self._packed and not self._is_last:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._packed = message.get("body", b"")
                self._is_empty = self._is_empty and not self._packed
                self._is_last = not message.get("more_body", False)
            piece = self._unpack()
            self._has_ended = self._is_last and not self._packed and len(piece) < _PIECE_BYTES
            if self._has_ended and not self._stream.eof and not self._is_empty:
                raise _Damaged
            if piece or self._has_ended:
                return {"type": "http.request", "body": piece, "more_body": not self._has_ended}
        return await self._receive()

    def _unpack(self) -> bytes:
        """Return up to a piece of what has arrived, and keep the rest."""
        if self._stream.eof and self._packed:  # gzip may come in several members
            self._stream = zlib.decompressobj(zlib.MAX_WBITS + _ANY_HEADER)
        try:
            piece = self._stream.decompress(self._packed, _PIECE_BYTES)
        except zlib.error as error:
            raise _Damaged from error
        self._packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return piece
