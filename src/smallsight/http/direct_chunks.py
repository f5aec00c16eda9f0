"""Sends the parts of a streamed answer to the socket past h11, which takes longer for a part than all else.

An answer of unknown length to an HTTP/1.1 client is sent in chunks: size, bytes, line end. h11 decides that
at the head of the answer and writes its end. Between the two it counts nothing, so that chunks can be written
here.
"""

from __future__ import annotations

from starlette.types import Message, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

from smallsight.http.joined_writes import JoinedWrites

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LENGTH_HEADERS = (b"content-length", b"transfer-encoding")


class DirectChunks:
    """The ``send`` of one request. ``send`` of uvicorn sends what is not a part of a chunked answer."""

    def __init__(self, scope: Scope, send: Send, transport: JoinedWrites, flow: FlowControl) -> None:
        self._send = send
        self._transport = transport
        self._flow = flow
        self._may_be_chunked = scope["http_version"] == "1.1" and scope["method"] in _METHODS
        self._is_chunked = False

    async def send(self, message: Message) -> None:
        """Write a part, or forward the message; uvicorn's ``send`` waits for clients that read slowly."""
        if message["type"] == "http.response.body":
            is_part = self._is_chunked and message.get("more_body", False)
            if is_part and not self._flow.write_paused and not self._transport.is_closing():
                if body := message.get("body", b""):
                    self._transport.write(b"%x\r\n%b\r\n" % (len(body), body))
                return
        elif message["type"] == "http.response.start":
            names = [name.lower() for name, _ in message.get("headers", ())]
            has_length = any(name in _LENGTH_HEADERS for name in names)
            self._is_chunked = self._may_be_chunked and message["status"] == 200 and not has_length
            if has_length:  # the body follows at once; the head of a stream is sent before its first part
                self._transport.hold()
            await self._send(message)
            return
        await self._send(message)
        self._transport.release()
