"""One content on its way through the stages, with its picture as far as the due stages need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path

from PIL import Image

from smallsight.errors import PictureError, PictureNotFoundError, SmallsightError
from smallsight.library.ledger import LOOK, StageName, Task
from smallsight.media.picture import DecodedPicture
from smallsight.model.picture_argument import NamedBytes, NamedImage


class Needs(Flag):
    """What a stage has to be given of a picture."""

    NOTHING = 0
    FACTS = auto()  # size, format, perceptual hashes, thumbnail
    READABLE = auto()  # pixels, no longer side than index.ocr_max_side_px
    FULL_SIZE = auto()  # all pixels, exactly as a model that opens the file itself sees them
    MOVING = auto()  # an animation as the bytes of its file, for a model that sees videos


@dataclass(slots=True, eq=False)
class OpenedContent:
    """A task, and what opening its file gave: a picture, or the error why there is none.

    ``path`` is the first of its files. ``file`` holds the bytes of an animation that a model opens itself.
    ``full_size_error`` is set when only decoding all pixels failed. ``opening_s`` is what reading and
    decoding took.
    """

    task: Task
    path: Path = Path()
    picture: DecodedPicture | None = None
    error: PictureError | None = None
    file: bytes | None = None
    full_size_error: PictureError | None = None
    opening_s: float = 0.0
    reported: set[SmallsightError] = field(default_factory=set)  # so that one problem is reported once

    def is_due(self, stage: StageName) -> bool:
        """Say whether a stage has something to store: a result, or the error that kept it from one.

        A file that is no longer there leaves its content due: the next scan finds out what became of it. One
        that cannot be decoded fails the stage ``look``, and the others are no longer due.
        """
        if stage not in self.task.keys or isinstance(self.error, PictureNotFoundError):
            return False
        return self.error is None or stage == LOOK or LOOK not in self.task.keys

    def take_opening_s(self) -> float:
        """Return the seconds that opening took, and 0 from then on: they count for the first stage only."""
        seconds, self.opening_s = self.opening_s, 0.0
        return seconds

    def take_shown(self) -> NamedBytes | NamedImage:
        """Return the picture to show to a model and let go of it: all pixels take much memory."""
        if self.file is not None:
            data, self.file = self.file, None
            return NamedBytes(self.path.name, data)
        picture, self.picture = self.picture, None
        if picture is None or picture.full_size_HWC is None:
            message = "The picture was not opened in full size, or was taken before."
            raise RuntimeError(message)
        image = Image.fromarray(picture.full_size_HWC)
        return NamedImage(self.path.name, image, bytes.fromhex(self.task.sha256))
