"""One content as it passes through the stages, with the parts of its picture that due stages need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path

from smallsight.errors import PictureError, PictureNotFoundError, SmallsightError
from smallsight.library.ledger import LOOK, StageName, Task
from smallsight.media.metadata.words import FileWords
from smallsight.media.moments import Moment
from smallsight.media.picture import DecodedPicture
from smallsight.model.picture_argument import NamedBytes, NamedImage


class Needs(Flag):
    """What a stage needs of a picture."""

    NOTHING = 0
    FACTS = auto()  # size, format, perceptual hashes, thumbnail
    READABLE = auto()  # the pages that are read, and pixels of at most index.ocr_max_side_px
    FULL_SIZE = auto()  # all pixels, identical to those that a model decodes from the file itself
    METADATA = auto()  # the captions and keywords in its metadata
    MOVING = auto()  # an animation or a video as the bytes of its file, for a model that supports videos
    FRAMES = auto()  # a few frames of an animation or a video


@dataclass(slots=True, eq=False)
class OpenedContent:
    """A task, and the result of opening its file: a picture or an error.

    ``path`` is the first of its files. ``picture`` of a video is its still. ``file`` holds the bytes of an
    animation or a video that a model opens itself. ``words`` are those of its metadata, or why they could not
    be read. ``full_size_error`` is set if only decoding all pixels failed, ``frames_error`` if only decoding
    ``frames`` failed. ``opening_s`` is the time spent reading and decoding.
    """

    task: Task
    path: Path = Path()
    picture: DecodedPicture | None = None
    error: PictureError | None = None
    file: bytes | None = None
    full_size_error: PictureError | None = None
    frames: Sequence[Moment] = ()
    frames_error: PictureError | None = None
    words: FileWords | PictureError | None = None
    opening_s: float = 0.0
    inherited: dict[StageName, str] = field(default_factory=dict)  # stages whose results another file had
    settled: set[StageName] = field(default_factory=set)  # stages that an earlier stage made needless
    reported: set[SmallsightError] = field(default_factory=set)  # so that one problem is reported once

    def is_due(self, stage: StageName) -> bool:
        """Return whether a stage has something to store: a result or an error.

        If a file is missing, its content stays due: the next scan determines what happened to it. If it
        cannot be decoded, the stage ``look`` fails, and the others are no longer due.
        """
        if stage not in self.task.keys or isinstance(self.error, PictureNotFoundError):
            return False
        if stage in self.settled or self.inherited.get(stage) == self.task.keys[stage]:
            return False
        return self.error is None or stage == LOOK or LOOK not in self.task.keys

    def take_opening_s(self) -> float:
        """Return the seconds that opening took, then 0: they count for the first stage only."""
        seconds, self.opening_s = self.opening_s, 0.0
        return seconds

    def take_shown(self) -> NamedBytes | NamedImage:
        """Return the picture for a model and release it here, because all pixels take much memory."""
        if self.file is not None:
            data, self.file = self.file, None
            return NamedBytes(self.path.name, data)
        picture, self.picture = self.picture, None
        if picture is None or picture.full_size_HWC is None:
            message = "The picture was not opened in full size, or was taken before."
            raise RuntimeError(message)
        return NamedImage(self.path.name, picture.full_size_HWC, bytes.fromhex(self.task.sha256))
