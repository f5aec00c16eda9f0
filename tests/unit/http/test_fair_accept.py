from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from clocks import wait_until
from smallsight.http.fair_accept import FairAccept, SharedCounts


class Kept(asyncio.Protocol):
    """A connection that stays open until the client leaves."""

    def handle_websocket_upgrade(self, _event: object) -> None:
        """Do what uvicorn's would do."""


class Acceptor:
    """A process, as far as accepting goes."""

    def __init__(self, listener: socket.socket, counts: SharedCounts, position: int) -> None:
        self.protocols: list[Kept] = []
        self.accept = FairAccept(listener, counts, position, self._connect)

    def _connect(self, connection: socket.socket, track: Callable[[object], None]) -> asyncio.Task[bool]:
        async def connected() -> bool:
            def make() -> Kept:
                protocol = Kept()
                track(protocol)
                self.protocols.append(protocol)
                return protocol

            await asyncio.get_running_loop().connect_accepted_socket(make, connection)
            return True

        return asyncio.get_running_loop().create_task(connected())


@pytest.fixture
def counts() -> Iterator[SharedCounts]:
    with TemporaryFile() as file:
        yield SharedCounts.prepare(file.fileno(), 2)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as made:
        yield made


def clients(listener: socket.socket, number: int) -> list[socket.socket]:
    return [socket.create_connection(listener.getsockname()) for _ in range(number)]


async def until(is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, is_so)


def test_a_burst_of_connections_is_shared_evenly(listener: socket.socket, counts: SharedCounts):
    async def main() -> list[int]:
        sockets = [listener, listener.dup()]
        both = [Acceptor(one, counts, position) for position, one in enumerate(sockets)]
        opened = clients(listener, 40)
        for one in both:
            one.accept.start()
        await until(lambda: sum(len(one.protocols) for one in both) == 40)
        for one in both:
            one.accept.stop()
        for client in [*opened, sockets[1]]:
            client.close()
        return [len(one.protocols) for one in both]

    shares = asyncio.run(main())
    assert abs(shares[0] - shares[1]) <= 2


@pytest.mark.parametrize("other", ["absent", "hung"])
def test_one_process_takes_all_where_the_other_takes_none(
    listener: socket.socket, counts: SharedCounts, other: str
):
    async def main() -> int:
        one = Acceptor(listener, counts, 0)
        if other == "hung":
            counts.set(1, 0)
        one.accept.start()
        opened = clients(listener, 10)
        await until(lambda: len(one.protocols) == 10)
        one.accept.stop()
        for client in opened:
            client.close()
        return len(one.protocols)

    assert asyncio.run(main()) == 10


def test_connections_that_end_or_become_websockets_are_no_load(listener: socket.socket, counts: SharedCounts):
    async def main() -> None:
        one = Acceptor(listener, counts, 0)
        one.accept.start()
        opened = clients(listener, 3)
        await until(lambda: counts.least() == 3)
        opened[0].close()
        await until(lambda: counts.least() == 2)
        for protocol in one.protocols:
            protocol.handle_websocket_upgrade(None)
        assert counts.least() == 0
        for client in opened:
            client.close()
        await asyncio.sleep(0)
        assert counts.least() == 0
        one.accept.stop()
        assert counts.least() > 1_000_000  # absent

    asyncio.run(main())


def test_counts_are_shared_through_the_file(tmp_path: Path):
    with (tmp_path / "counts").open("w+b") as file:
        ours = SharedCounts.prepare(file.fileno(), 3)
        theirs = SharedCounts(file.fileno(), 3)
        theirs.set(2, 7)
        assert ours.least() == 7
        ours.set(0, 3)
        assert theirs.least() == 3
        ours.set_absent(0)
        assert theirs.least() == 7
