from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from smallsight.http.passed_connections import ConnectionSender, receive_connections
from smallsight.http.shared_connection import with_close

pytestmark = pytest.mark.skipif(not hasattr(socket, "send_fds"), reason="this system passes no connections")


@pytest.fixture
def control() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(30)
        yield ours, theirs


def received(control: socket.socket) -> tuple[list[str], list[tuple[socket.socket, bytes]]]:
    """Receive until the other side closes."""
    ready: list[str] = []
    connections: list[tuple[socket.socket, bytes]] = []
    receive_connections(control, lambda: ready.append("ready"), lambda *one: connections.append(one))
    return ready, connections


def test_a_connection_arrives_with_what_was_read_and_works_after_the_first_process_closes_it(control):
    ours, theirs = control
    client, accepted = socket.socketpair()
    sender = ConnectionSender(theirs)
    sender.tell_ready()
    sender.send(accepted, b"GET / HTTP/1.1\r\n")
    sender.close()
    accepted.close()
    theirs.close()
    ready, ((passed, data),) = received(ours)
    assert (ready, data) == (["ready"], b"GET / HTTP/1.1\r\n")
    with client, passed:
        passed.sendall(b"answer")
        assert client.recv(100) == b"answer"


def test_many_connections_and_long_requests_arrive_in_order_while_the_other_side_reads(control):
    ours, theirs = control
    arrived: SimpleQueue[tuple[socket.socket, bytes]] = SimpleQueue()
    reading = threading.Thread(
        target=receive_connections, args=(ours, lambda: None, lambda *one: arrived.put(one))
    )
    reading.start()
    sender = ConnectionSender(theirs)
    bodies = [bytes([number]) * 200_000 for number in range(1, 30)]
    for body in bodies:
        client, accepted = socket.socketpair()
        with client, accepted:
            sender.send(accepted, body)
    for body in bodies:
        connection, data = arrived.get(timeout=30)
        connection.close()
        assert data == body
    theirs.close()
    reading.join(30)
    assert not reading.is_alive()


@pytest.mark.parametrize("said", [b"\0\0", struct.pack(">I", 5) + b"hello", struct.pack(">I", 2**31)])
def test_what_is_no_message_ends_the_receiving(control, said: bytes):
    ours, theirs = control
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    assert received(ours) == ([], [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /a HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n"),
        (b"POST /a HTTP/1.0\r\nHost: x\r\n\r\n", b"POST /a HTTP/1.0\r\nHost: x\r\n\r\n"),
        (b"POST /a", b"POST /a"),
        (b"\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_only_a_whole_first_line_is_followed_by_the_wish_to_close(given: bytes, expected: bytes):
    assert with_close(given) == expected
