"""What the library asks of whatever reads the text in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from smallsight.reading.text_line import TextLine


class TextReading(Protocol):
    """Reads text; see ``smallsight.reading.text_reader`` for the one that is shipped."""

    @property
    def key(self) -> str:
        """Name everything that decides the result: program, version, model, settings."""
        ...

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        """Return the lines in a uint8 RGB image in reading order; raises PictureError if it cannot."""
        ...
