"""Clients that do not read what is sent to them, and those that read slowly."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from smallsight.http import unread
from smallsight.http.open_connections import OpenConnections
from smallsight.http.socket_connection import socket_class
from smallsight.http.unread import UnreadTimer

from .loopback import Client, serving


def test_the_connection_of_a_client_that_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unread, "UNREAD_S", 0.05)
    ended = threading.Event()

    async def endless(scope, receive, send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        assert leaving.result()["type"] == "http.disconnect"
        ended.set()

    with serving(endless, "none") as port, socket.create_connection(("127.0.0.1", port), 30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert ended.wait(60)


def test_so_is_a_websocket_of_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unread, "UNREAD_S", 0.05)
    opened, ended = OpenConnections(10), threading.Event()

    async def endless(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "x" * 65536})
        except OSError:  # as servers report a client that has left
            ended.set()

    with serving(endless, socket_class(opened)) as port, Client(port) as client:
        assert client.status == 101
        assert opened.num_open == 1
        assert ended.wait(60)
        assert opened.num_open == 0


class Transport:
    """A transport whose client reads 100 kB between two looks at it, until half a megabyte is left."""

    def __init__(self) -> None:
        self.left_bytes = 1_000_000
        self.num_looks = 0
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        self.num_looks += 1
        left_bytes, self.left_bytes = self.left_bytes, max(500_000, self.left_bytes - 100_000)
        return left_bytes

    def abort(self) -> None:
        self.aborted.set()


def test_a_client_that_reads_keeps_its_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unread, "UNREAD_S", 0.0)

    async def go() -> Transport:
        transport, timer = Transport(), UnreadTimer()
        timer.start(transport)
        await asyncio.wait_for(transport.aborted.wait(), 60)
        return transport

    assert asyncio.run(go()).num_looks > 5
