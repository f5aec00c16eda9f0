"""A child that breaks the protocol of ``smallsight.media.wire``: ``python -m lying_child 0 PID HOW``."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from smallsight.media.wire import read_bytes, read_header, write_frame, write_header

PIXELS = bytes(range(30))
EARLY = {"is_early": True}


def announce_too_much(replies: BinaryIO) -> None:
    write_header(replies, {}, 1 << 62)


def die_in_the_middle(replies: BinaryIO) -> None:
    write_header(replies, {}, len(PIXELS))
    replies.write(PIXELS[:10])


def die_in_the_middle_of_early_rows(replies: BinaryIO) -> None:
    write_header(replies, EARLY, len(PIXELS))
    replies.write(PIXELS[:10])


def die_after_early_rows(replies: BinaryIO) -> None:
    write_frame(replies, EARLY, PIXELS)


def announce_too_much_after_early_rows(replies: BinaryIO) -> None:
    write_frame(replies, EARLY, PIXELS)
    write_header(replies, {"other": True}, 1 << 62)


def take_early_rows_back(replies: BinaryIO) -> None:
    write_frame(replies, EARLY, PIXELS)
    write_frame(replies, {"error": "corrupt_picture"}, b"x")


def hold_more_than_was_sent(replies: BinaryIO) -> None:
    write_frame(replies, EARLY, PIXELS)
    write_frame(replies, {"holds": True}, b"more")


def main() -> None:
    """Say that it is ready, answer one request in the way that the third argument names, and end."""
    write_frame(sys.stdout.buffer, {"ready": True, "not_in_force": {}})
    read_bytes(sys.stdin.buffer, read_header(sys.stdin.buffer)[1])
    globals()[sys.argv[3]](sys.stdout.buffer)
    sys.stdout.buffer.flush()
    os._exit(3)


if __name__ == "__main__":
    main()
