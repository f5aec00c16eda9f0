"""The disposable child process for chat templates: ``python -m ...template_child MEMORY_BYTES PARENT_PID``.

It locks itself down as the decoding child does, compiles one chat template after another, and renders three
conversations with each. A template that takes more processor time or memory ends it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

from smallsight.errors import ArgumentError, BrokenCheckpointError
from smallsight.families.smolvlm.chat_template import ChatTemplate, TemplateText, reason_of
from smallsight.media.sandbox import allow_cpu_seconds, lock_down
from smallsight.media.wire import OUT_OF_MEMORY, read_bytes, read_header, write_frame

_CPU_S = 1.0  # of processor time; the kernel counts whole seconds and ends the process after 3 to 4
_PICTURE = {"type": "image"}
CONVERSATIONS: tuple[list[dict[str, Any]], ...] = (
    [{"role": "user", "content": [_PICTURE, {"type": "text", "text": "Can you describe this image?"}]}],
    [
        {"role": "user", "content": [{"type": "text", "text": "¿Qué dice?\n\n"}, _PICTURE]},
        {"role": "assistant", "content": [{"type": "text", "text": "A sign."}]},
        {"role": "user", "content": [{"type": "text", "text": "Which one?"}]},
    ],
    [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [_PICTURE, _PICTURE, {"type": "text", "text": "Compare. " * 200}]},
    ],
)


def main(arguments: list[str]) -> int:
    """Lock down, then serve templates on standard input until it ends; return the exit code."""
    memory_bytes, parent_pid = int(arguments[0]), int(arguments[1])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _why_unusable(
        b'{"text": "{{ strftime_now(\'%d %b\') }}{{ 1 + [] }}", "tokens": {}}'
    )  # what is imported late
    reasons = lock_down(memory_bytes, parent_pid)
    write_frame(replies, {"ready": True, "not_in_force": reasons})
    return _serve(sys.stdin.buffer, replies)


def _serve(requests: BinaryIO, replies: BinaryIO) -> int:
    while True:
        try:
            _, num_bytes = read_header(requests)
            data = read_bytes(requests, num_bytes)
        except EOFError:
            return 0
        allow_cpu_seconds(_CPU_S)
        try:
            why = _why_unusable(data)
        except MemoryError:
            write_frame(replies, {"why": OUT_OF_MEMORY})
            return 1
        write_frame(replies, {"why": why})


def _why_unusable(data: bytes) -> str:
    """Return why a template cannot be used, empty if it can; it may refuse a conversation on purpose."""
    given = json.loads(data)
    try:
        template = ChatTemplate.compile(TemplateText(Path("chat_template"), given["text"], given["tokens"]))
        for conversation in CONVERSATIONS:
            try:
                template.render(conversation)
            except ArgumentError:
                continue
    except BrokenCheckpointError as error:
        cause = error.__cause__ or error
        if isinstance(cause, MemoryError):
            raise cause from error
        return reason_of(cause)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
