"""The socket that a server listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from smallsight.errors import ServerError
from smallsight.serve.process import open_socket
from smallsight.settings import ServerSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_answers_are_sent_at_once(host: str):
    """Head and body are written apart: unless told otherwise, the system holds the second back for 40 ms."""

    async def go() -> int:
        told: list[int] = []

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            told.append(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = open_socket(ServerSettings(host=host, port=0))
        async with await asyncio.start_server(serve, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            await reader.read()
            writer.close()
        return told[0]

    assert asyncio.run(go()) != 0


def test_a_port_in_use_is_a_sentence():
    with (
        open_socket(ServerSettings(port=0)) as taken,
        pytest.raises(ServerError, match=r"Cannot listen on .*: address already in use\."),
    ):
        taken.listen()
        open_socket(ServerSettings(port=taken.getsockname()[1]))
