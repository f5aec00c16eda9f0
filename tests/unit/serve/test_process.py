"""Where a server may listen, and the socket that it listens on."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from smallsight.errors import ServerError, SettingsError
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.http.page_password import PagePassword, password_path
from smallsight.serve.process import open_socket, require_key
from smallsight.settings import ServerSettings, Settings


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


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "nas.example", "::"])
def test_listening_to_the_network_takes_a_key(tmp_path: Path, host: str):
    settings = Settings(home=tmp_path, server=ServerSettings(host=host))
    with pytest.raises(SettingsError, match=f"Refusing to listen on {host} without an API key"):
        require_key(settings)
    ApiKeys(settings.api_keys_path).add("one", frozenset(Scope))
    require_key(settings)


def test_listening_to_the_network_or_behind_a_proxy_takes_a_key_or_a_password(tmp_path: Path):
    exposed = Settings(home=tmp_path, server=ServerSettings(host="0.0.0.0"))
    proxied = Settings(home=tmp_path, server=ServerSettings(behind_proxy=True))
    with pytest.raises(SettingsError, match="behind a proxy without an API key or a password"):
        require_key(proxied)
    PagePassword(password_path(tmp_path)).set("long enough")
    require_key(exposed)
    require_key(proxied)
    with pytest.raises(SettingsError, match="without an API key: there is none"):
        require_key(Settings(home=tmp_path, server=ServerSettings(require_key=True)))
    password_path(tmp_path).write_text("{")
    with pytest.raises(SettingsError, match="cannot be read"):
        require_key(exposed)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_listening_to_this_machine_takes_none(tmp_path: Path, host: str):
    require_key(Settings(home=tmp_path, server=ServerSettings(host=host)))
