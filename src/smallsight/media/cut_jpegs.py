"""JPEGs that lack their last bytes, as cameras and broken downloads leave them; viewers show them."""

from __future__ import annotations

import contextlib
import io

from PIL import Image

from smallsight.media.decoder_errors import DECODER_ERRORS

_END_OF_IMAGE = b"\xff\xd9"
_MAX_MISSING_ROWS = 1 / 20
_SCALE = 8


def with_end(data: bytes) -> bytes | None:
    """Return a JPEG that ends early with an end marker, or None if more than its last rows are missing.

    A progressive JPEG has no rows before its end, so that one without it is never completed.
    """
    with (
        contextlib.suppress(*DECODER_ERRORS),
        Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as opened,
    ):
        opened.draft(None, (max(1, opened.width // _SCALE), max(1, opened.height // _SCALE)))
        with contextlib.suppress(OSError):
            opened.load()
        opened.tile = []  # or asking for the rows would decode again
        decoded = opened.getbbox()  # rows that were never written are 0
        if decoded is not None and opened.height - decoded[3] <= max(2, opened.height * _MAX_MISSING_ROWS):
            return data + _END_OF_IMAGE
    return None
