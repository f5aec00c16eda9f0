"""uvicorn in a thread on a free port, with the smallest WebSocket protocol that its ``ws`` option takes.

No WebSocket package is installed here. Text frames under 64 KiB, and closing: no ping, no fragments.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

from smallsight.http.connection import connection_class

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_TEXT, _CLOSE = 1, 8


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """Return one frame; clients have to mask theirs with 4 bytes."""
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | len(payload))
    else:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, len(payload))
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else payload
    return head + mask + masked


def first_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Return opcode, payload and what follows, or None while the frame is incomplete."""
    if len(data) < 2:
        return None
    opcode, is_masked, length, at = data[0] & 15, data[1] >> 7, data[1] & 127, 2
    if length == 126:
        if len(data) < 4:
            return None
        length, at = struct.unpack("!H", data[2:4])[0], 4
    mask, at = (data[at : at + 4], at + 4) if is_masked else (b"", at)
    if len(data) < at + length:
        return None
    payload = data[at : at + length]
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return opcode, payload, data[at + length :]


class ServerSide(asyncio.Protocol):
    """What uvicorn hands a connection over to when it is to become a WebSocket."""

    offers_responses = True

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any]) -> None:
        self.config, self.state, self.app_state = config, server_state, app_state
        self.data, self.is_accepted = b"", False
        self.scope: dict[str, Any] | None = None
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.refusal: dict[str, Any] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.state.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.state.connections.discard(self)
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def shutdown(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.scope is None:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            self.scope = self.read_head(head)
            task = asyncio.get_running_loop().create_task(self.run())
            self.state.tasks.add(task)
            task.add_done_callback(self.state.tasks.discard)
        while (found := first_frame(self.data)) is not None:
            opcode, payload, self.data = found
            if opcode == _TEXT:
                self.incoming.put_nowait({"type": "websocket.receive", "text": payload.decode()})
            elif opcode == _CLOSE:
                self.transport.close()

    def read_head(self, head: bytes) -> dict[str, Any]:
        first, *lines = head.split(b"\r\n")
        path, _, query = first.split(b" ")[1].partition(b"?")
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path.decode(),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)],
            "client": self.transport.get_extra_info("peername")[:2],
            "server": self.transport.get_extra_info("sockname")[:2],
            "subprotocols": [],
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}} if self.offers_responses else {},
        }

    async def run(self) -> None:
        assert self.config.loaded_app is not None
        await self.config.loaded_app(self.scope, self.incoming.get, self.send)
        self.transport.close()

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            assert not self.is_accepted
            self.is_accepted = True
            key = dict(self.scope["headers"])[b"sec-websocket-key"]
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
            self.write_head(
                101, [(b"upgrade", b"websocket"), (b"connection", b"upgrade")], message["headers"]
            )
            self.transport.write(b"sec-websocket-accept: " + accept + b"\r\n\r\n")
        elif kind == "websocket.send":
            assert self.is_accepted
            self.transport.write(frame(_TEXT, message["text"].encode()))
        elif kind == "websocket.close" and self.is_accepted:
            self.transport.write(frame(_CLOSE, struct.pack("!H", message["code"])))
        elif kind == "websocket.close":
            self.write_head(403, [], [])
            self.transport.write(b"\r\n")
        elif kind == "websocket.http.response.start":
            assert self.offers_responses
            assert not self.is_accepted
            self.write_head(message["status"], [], message["headers"])
            self.transport.write(b"\r\n")
        else:
            assert kind == "websocket.http.response.body"
            self.transport.write(message["body"])

    def write_head(self, status: int, *headers: list[tuple[bytes, bytes]]) -> None:
        lines = [b"%s: %s\r\n" % header for some in headers for header in some]
        self.transport.write(b"HTTP/1.1 %d x\r\n" % status + b"".join(lines))


class OfferingNoResponses(ServerSide):
    offers_responses = False


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    async def main_loop(self) -> None:
        """Look for the end more often than uvicorn does, which tests of milliseconds would wait for."""
        while not await self.on_tick(0):
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def serving(app: Any, ws: Any = ServerSide) -> Iterator[int]:
    """Serve an application as ``smallsight serve`` does, with this ``ws`` option; yield the port."""
    config = uvicorn.Config(
        app, http=connection_class(10), ws=ws, lifespan="off", log_config=None, timeout_graceful_shutdown=5
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.has_started.wait(30)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


class Client:
    """One handshake by hand, and what follows. ``status``, ``headers`` and ``body`` are the answer to it."""

    def __init__(self, port: int, path: str = "/echo", **headers: str) -> None:
        fields = {
            "host": f"127.0.0.1:{port}",
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(b"sixteen bytes ok").decode(),
        } | {name.replace("_", "-"): value.replace("PORT", str(port)) for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._receive()
        first, *lines = self._data.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines)
        self._data = self._data.partition(b"\r\n\r\n")[2]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def body(self) -> str:
        """What a refusal says: everything until the server closes."""
        while len(self._data) < int(self.headers.get("content-length", "0")):
            self._receive()
        return self._data.decode()

    def ask(self, text: str) -> str:
        """Send a text and return the one that comes back."""
        self.send(text)
        opcode, payload = self._next()
        assert opcode == _TEXT
        return payload.decode()

    def send(self, text: str) -> None:
        self._socket.sendall(frame(_TEXT, text.encode(), b"mask"))

    def close_code(self) -> int:
        """Return the code that the server closes with."""
        opcode, payload = self._next()
        assert opcode == _CLOSE
        return int(struct.unpack("!H", payload[:2])[0])

    def _next(self) -> tuple[int, bytes]:
        while (found := first_frame(self._data)) is None:
            self._receive()
        opcode, payload, self._data = found
        return opcode, payload

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        assert data, "the server closed the connection"
        self._data += data
