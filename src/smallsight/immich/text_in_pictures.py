"""Reads the text of pictures with the library's OCR, one at a time, in its child process."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from smallsight.families.plain_rgb import as_pillow
from smallsight.http.waiting_line import WaitingLine
from smallsight.lending.idle_timer import IdleTimer
from smallsight.media.formats import sniff_format
from smallsight.media.reading_size import reading_size
from smallsight.model.picture_argument import NamedBytes
from smallsight.reading.text_line import TextLine
from smallsight.reading.text_reader import TextReader
from smallsight.services.decoding_threads import DecodingThreads
from smallsight.settings import Settings

_IDLE_S = 120.0
_NUM_DECODED = 2  # one is read while the next is decoded; more would only take memory
_NAME = "text reader"


class TextInPictures:
    """Belongs to the event loop. The child ends after two minutes without a picture. Close it at the end."""

    def __init__(self, settings: Settings, decoding: DecodingThreads) -> None:
        self._settings = settings
        self._decoding = decoding
        self._reader: TextReader | None = None
        self._thread = ThreadPoolExecutor(1, "smallsight-immich-ocr")
        self.line = WaitingLine(_NUM_DECODED)
        self._idle = IdleTimer(_IDLE_S, lambda _: self._rest())

    async def read(self, data: bytes, min_confidence: float) -> dict[str, Any]:
        """Return the lines of a picture as Immich expects them, and its size in pixels.

        A box has the coordinates of four corners, clockwise from the top left of the text, as fractions of
        the picture. Call it in a slot of ``line``. Raises subclasses of PictureError, and MissingExtraError
        without the ``ocr`` extra.
        """
        image = as_pillow((await self._decoding.open(NamedBytes("", data))).image)
        loop = asyncio.get_running_loop()
        lines = await loop.run_in_executor(self._thread, self._read, image, sniff_format(data))
        kept = [line for line in lines if line.text and line.confidence > min_confidence]
        scores = [line.confidence for line in kept]
        found = {
            "text": [line.text for line in kept],
            "box": [number for line in kept for corner in line.box for number in corner],
            "boxScore": scores,  # the reader has one confidence for both
            "textScore": scores,
        }
        return {"ocr": found, "imageHeight": image.height, "imageWidth": image.width}

    async def close(self) -> None:
        """End the child and the threads."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._idle.close)
        if self._reader is not None:
            await asyncio.to_thread(self._reader.close)

    def _read(self, image: Image.Image, picture_format: str) -> list[TextLine]:
        self._idle.clear(_NAME)
        try:
            if self._reader is None:
                self._reader = TextReader(self._settings)
            side_px = self._settings.index.ocr_max_side_px
            size = reading_size(picture_format, image.size, side_px)
            if size != image.size:
                image = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
            pixels_HWC = np.asarray(image.convert("RGB"))
            return self._reader.read(pixels_HWC)
        finally:
            self._idle.set(_NAME)

    def _rest(self) -> None:
        """End the child, in the thread that uses it."""
        try:
            self._thread.submit(lambda: None if self._reader is None else self._reader.close())
        except RuntimeError:  # closed meanwhile
            return
