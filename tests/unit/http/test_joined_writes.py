"""What is written in one packet, and that nothing stays behind."""

from __future__ import annotations

from smallsight.http.joined_writes import JoinedWrites


class Transport:
    """A transport that keeps what is done with it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done


def test_writes_are_joined_between_hold_and_release():
    transport = Transport()
    joined = JoinedWrites(transport)
    joined.write(b"a")
    joined.hold()
    joined.write(b"head ")
    joined.write(b"")
    joined.write(b"body")
    assert transport.done == [b"a"]
    joined.release()
    joined.release()
    joined.write(b"b")
    assert transport.done == [b"a", b"head body", b"b"]


def test_what_is_large_is_not_copied():
    transport, large = Transport(), b"x" * 100_000
    joined = JoinedWrites(transport)
    joined.hold()
    joined.write(b"head")
    joined.write(large)
    joined.release()
    assert transport.done == [b"head", large]


def test_closing_writes_what_was_kept_first():
    transport = Transport()
    joined = JoinedWrites(transport)
    joined.hold()
    joined.write(b"head")
    joined.close()
    assert (transport.done, joined.is_closing()) == ([b"head", "close"], True)
