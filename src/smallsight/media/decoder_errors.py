"""What Pillow raises on invalid bytes; any other error ends the child and is reported as a crash."""

from __future__ import annotations

import struct
import zlib

__all__ = ["DECODER_ERRORS"]

DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
