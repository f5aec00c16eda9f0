"""Opens callers' arguments as parts of a conversation: pictures, tiled pictures, videos or their frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Self, TypeAlias

from smallsight.errors import UnsupportedFormatError
from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.messages import Frame, PicturePart, TiledPart, TiledPicture, Video, VideoPart
from smallsight.media.child_process import ChildStop
from smallsight.media.video import VideoReader
from smallsight.media.video_formats import is_animation, is_container
from smallsight.model.picture_argument import (
    NamedImage,
    NamedVideo,
    PictureArgument,
    PictureOpener,
    RecalledPicture,
    read_argument,
)
from smallsight.settings import Limits

__all__ = ["PartKind", "PartOpener", "ShownParts", "open_video"]

ShownParts: TypeAlias = tuple[PicturePart | TiledPart | VideoPart, ...]


class PartKind(Enum):
    """How an input is presented."""

    ONE_OF_SEVERAL = auto()  # a video file is a video; an animation is a picture
    ALONE = auto()  # an animation is also a video, for families trained on videos
    PICTURE = auto()
    VIDEO = auto()


class PartOpener:
    """Opens pictures and videos for one family. Not thread-safe; close it, or use it in ``with``."""

    def __init__(
        self,
        limits: Limits,
        sampling: FrameSampling,
        recall: Callable[[bytes], TiledPicture | None] | None = None,
    ) -> None:
        """``recall`` returns a family's cached tiles of a picture, by the SHA-256 of its file."""
        self._limits = limits
        self._recall = recall
        self._sampling = sampling
        self._pictures = PictureOpener(limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decoding process."""
        self._pictures.close()

    def open(self, argument: PictureArgument, kind: PartKind) -> ShownParts:
        """Return the parts of a conversation for it; raises PictureError."""
        if isinstance(argument, NamedVideo):
            return self._parts(argument.video)
        if isinstance(argument, RecalledPicture):
            return (TiledPart(argument.picture),)
        if kind is PartKind.VIDEO:
            return self._parts(self.video(argument).video)
        file = read_argument(argument, self._limits)
        if file is None:
            digest = argument.digest if isinstance(argument, NamedImage) else None
            return (PicturePart(self._pictures.open_pixels(argument), digest),)
        if self._is_video(file.data, kind):
            return self._parts(open_video(file.data, self._sampling, self._limits))
        if self._recall is None:
            return (PicturePart(self._pictures.open_pixels(file)),)
        digest = hashlib.sha256(file.data).digest()
        known = self._recall(digest)
        return (PicturePart(self._pictures.open_pixels(file), digest) if known is None else TiledPart(known),)

    def video(self, argument: PictureArgument) -> NamedVideo:
        """Open a video, or an animation of one or more frames; raises PictureError."""
        if isinstance(argument, NamedVideo):
            return argument
        file = read_argument(argument, self._limits)
        if file is None:
            raise UnsupportedFormatError(
                f"A value of type {type(argument).__name__} is not a video.",
                hint="pass a path or the bytes of a file.",
            )
        return NamedVideo(file.name or None, open_video(file.data, self._sampling, self._limits))

    def _is_video(self, data: bytes, kind: PartKind) -> bool:
        if kind is PartKind.PICTURE:
            return False
        knows_videos = kind is PartKind.ALONE and self._sampling.knows_videos
        return is_container(data) or (knows_videos and is_animation(data))

    def _parts(self, video: Video) -> ShownParts:
        if self._sampling.knows_videos:
            return (VideoPart(video),)
        return tuple(PicturePart(frame.pixels_HWC) for frame in video.frames)


def open_video(
    data: bytes, sampling: FrameSampling, limits: Limits, *, stop: ChildStop | None = None
) -> Video:
    """Decode and resize the frames that a family samples; raises PictureError.

    Another thread may call ``stop``, which soon raises DecoderFailedError here.
    """
    with VideoReader(data, limits, stop=stop) as reader:
        facts = reader.facts
        if facts.times_s is None:
            indices = sampling.choose(facts)
            frames = tuple(
                Frame(sampling.fit(pixels_HWC), time_s, index / facts.fps)
                for index, (pixels_HWC, time_s) in zip(indices, reader.timed_frames(indices), strict=True)
            )
            return Video(frames, facts.duration_s)
        moments_s = sampling.moments_s(facts)
        shown = reader.frames([facts.frame_at(moment_s) for moment_s in moments_s])
        frames = tuple(
            Frame(sampling.fit(pixels_HWC), moment_s)
            for moment_s, pixels_HWC in zip(moments_s, shown, strict=True)
        )
        return Video(frames, facts.duration_s)
