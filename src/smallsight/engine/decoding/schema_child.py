"""The disposable child process: ``python -m smallsight.engine.decoding.schema_child CPU_MS PARENT_PID``.

It compiles one schema after another, over a vocabulary of single bytes. A schema that takes longer than
``CPU_MS`` ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import BinaryIO

if sys.platform != "win32":
    import resource

from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from smallsight.engine.decoding.schema_limits import compile_schema, reason_in
from smallsight.media.wire import read_bytes, read_header, write_frame

_NICE = 10  # answers come first
_MEMORY_BYTES = 2 * 1024**3  # of address space; most of it is never used


def main(arguments: list[str]) -> int:
    """Serve schemas on standard input until it ends; return the exit code."""
    cpu_s = int(arguments[0]) / 1000
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    vocabulary = _bytes_vocabulary()
    if sys.platform != "win32":
        os.nice(_NICE)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_frame(replies, {"ready": True, "not_in_force": {}})
    return _serve(sys.stdin.buffer, replies, vocabulary, cpu_s)


def _serve(requests: BinaryIO, replies: BinaryIO, vocabulary: LLTokenizer, cpu_s: float) -> int:
    while True:
        try:
            _, num_bytes = read_header(requests)
            schema = read_bytes(requests, num_bytes).decode()
        except EOFError:
            return 0
        _allow(cpu_s)
        matcher = compile_schema(vocabulary, schema)
        why = reason_in(matcher) if isinstance(matcher, str) else _first_mask(matcher)
        _allow(0)
        write_frame(replies, {"why": why})


def _first_mask(matcher: LLMatcher) -> str:
    if not matcher.is_error():
        matcher.compute_bitmask()  # reveals schemas that allow nothing
    return reason_in(matcher.get_error()) if matcher.is_error() else ""


def _allow(cpu_s: float) -> None:
    """End this process after so much processor time; 0 takes the limit away. Windows has no such timer."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, cpu_s)


def _bytes_vocabulary() -> LLTokenizer:
    tokens = {one: index for index, one in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(tokens, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens(["<end>"])
    return LLTokenizer(tokenizer.to_str(), eos_token=[len(tokens)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
