"""Decodes the frames of a video file with PyAV (the ``video`` extra), in the decoding child.

One pass over the packets, without decoding, finds the number of frames and their timestamps. A frame is then
decoded from the key frame before it, so that a frame of a long video costs no more than one of a short video.
"""

from __future__ import annotations

import bisect
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar, cast

import av
from av.stream import Disposition
from PIL import Image

from smallsight.errors import CorruptPictureError, UnsupportedFormatError
from smallsight.media.frame_display import FrameDisplay
from smallsight.media.packet_scan import scan_packets
from smallsight.media.video_formats import CONTAINERS
from smallsight.media.video_limits import VideoFacts, VideoRequest, check_length, check_size, reporting_damage

__all__ = ["CODECS", "ContainerFrames", "open_container"]

_Value = TypeVar("_Value")

# Written by phones, cameras, browsers and the tools of the last twenty years; other codecs are never opened.
CODECS = frozenset(
    "h264 hevc av1 vp8 vp9 mpeg4 mpeg1video mpeg2video mjpeg theora h263 flv1 msmpeg4v2 msmpeg4v3 wmv2 "
    "prores".split()
)
_SEEKABLE = ("MP4", "MATROSKA")  # the others have no index that leads to a given frame
# FFmpeg's own decoders of these codecs drop the transparency, which WebM keeps beside the pictures.
_DECODERS_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_BEFORE = -(2**63)  # earlier than any timestamp


def open_container(data: bytes | BinaryIO, request: VideoRequest) -> ContainerFrames:
    """Open the first video stream of a file."""
    return _with_known_errors(lambda: ContainerFrames(data, request))


def _with_known_errors(work: Callable[[], _Value]) -> _Value:
    """Return what ``work`` returns; raises ValueError for errors that PyAV derives from no built-in one."""
    try:
        return work()
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise ValueError(str(error)) from error


class ContainerFrames:
    """The first video stream of a file."""

    def __init__(self, data: bytes | BinaryIO, request: VideoRequest) -> None:
        self._request = request
        # Errors in metadata such as titles do not matter.
        file = io.BytesIO(data) if isinstance(data, bytes) else data
        self._container = av.open(file, "r", format=CONTAINERS[request.format], metadata_errors="ignore")
        streams = [one for one in self._container.streams.video if not _is_cover(one)]
        if not streams:
            raise UnsupportedFormatError(
                f"The {request.format} file has no video stream.", hint="it may contain only sound."
            )
        self._stream = streams[0]
        self._check_codec()
        self._decoder = _decoder(self._stream)
        self._display = FrameDisplay(self._stream, request)
        check_size(self._stream.width, self._stream.height, request)
        self._decoded: Iterator[av.VideoFrame] | None = None
        self._last: av.VideoFrame | None = None
        self._last_at, self._num_decoded = _BEFORE, 0
        self._wanted_at = _BEFORE
        self._scan = scan_packets(self._container, self._stream, request)
        self._shown_at, self._keys = self._scan.shown_at, self._scan.keys
        self._rewind()
        self.facts = self._facts()
        check_length(self.facts.num_frames, self.facts.duration_s, request)

    def frame(self, index: int) -> Image.Image:
        """Return a frame; seeks if there is a key frame between the last frame and this one."""
        return reporting_damage(
            self._request.format, lambda: _with_known_errors(lambda: self._display.image(self._find(index)))
        )

    def time_s(self, index: int) -> float:
        """Return the frame's time by its timestamp; by the frame rate if timestamps are missing."""
        if self.facts.times_s is not None:
            return self.facts.times_s[index]
        if self._shown_at is None or self._stream.time_base is None:
            return index / self.facts.fps
        return float((self._shown_at[index] - self._shown_at[0]) * self._stream.time_base)

    def _check_codec(self) -> None:
        name = self._stream.codec_context.codec.canonical_name
        if name not in CODECS:
            raise UnsupportedFormatError(
                f"Videos encoded as {name} are not supported.", hint="save it as MP4 (H.264)."
            )

    def _facts(self) -> VideoFacts:
        scan = self._scan
        return VideoFacts(*self._size_px(), scan.num_frames, float(scan.rate), scan.duration_s, scan.times_s)

    def _size_px(self) -> tuple[int, int]:
        """Return the size of the first frame: only a frame tells how it is turned."""
        try:
            return self._display.size_px(self._find(0))
        except (av.FFmpegError, CorruptPictureError):
            return self._stream.width, self._stream.height

    def _rewind(self) -> None:
        self._container.seek(0)
        self._decoder.flush_buffers()
        self._decoded, self._last = None, None
        self._last_at, self._num_decoded = _BEFORE, 0

    def _find(self, index: int) -> av.VideoFrame:
        if self._shown_at is None:
            return self._by_count(index)
        wanted = self._shown_at[index]
        key = self._key_before(wanted)
        if key is not None and self._last_at < key:
            self._container.seek(key, stream=self._stream)
            self._decoder.flush_buffers()
            self._decoded, self._last, self._last_at = None, None, _BEFORE
            self._by_time(wanted)
        if self._last_at > wanted:  # requested backwards, or a seek went too far
            self._rewind()
        return self._by_time(wanted)

    def _key_before(self, wanted: int) -> int | None:
        if self._request.format not in _SEEKABLE or not self._keys:
            return None
        return self._keys[max(0, bisect.bisect_right(self._keys, wanted) - 1)]

    def _by_time(self, wanted: int) -> av.VideoFrame:
        """Decode up to the frame with this timestamp, or the next one if it cannot be decoded."""
        self._wanted_at = wanted
        while self._last_at < wanted and self._advance():
            pass
        return self._require_last()

    def _by_count(self, index: int) -> av.VideoFrame:
        if self._num_decoded > index + 1:
            self._rewind()
        while self._num_decoded <= index and self._advance():
            pass
        return self._require_last()

    def _advance(self) -> bool:
        if self._decoded is None:
            self._decoded = self._frames()
        following = next(self._decoded, None)
        if following is None:
            return False
        self._last, self._num_decoded = following, self._num_decoded + 1
        if following.pts is not None:
            self._last_at = following.pts
        return True

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Decode from the current position; packets that cannot be decoded are skipped, as in players."""
        for packet in self._container.demux(self._stream):
            # Frames before the wanted one that no other frame refers to need not be decoded.
            is_before = packet.pts is not None and packet.pts < self._wanted_at
            self._decoder.skip_frame = "NONREF" if is_before else "DEFAULT"
            try:
                yield from self._decoder.decode(packet)
            except av.error.InvalidDataError:
                continue

    def _require_last(self) -> av.VideoFrame:
        if self._last is None:
            raise CorruptPictureError("None of the video's frames can be decoded.", hint="copy it again.")
        return self._last


def _decoder(stream: av.VideoStream) -> av.VideoCodecContext:
    """Return the stream's decoder, with one thread as the rest of the process."""
    stream.thread_type = "NONE"
    own = stream.codec_context
    own.thread_count = 1
    with_alpha = _DECODERS_WITH_ALPHA.get(own.codec.canonical_name)
    if stream.metadata.get("alpha_mode") != "1" or with_alpha not in av.codecs_available:
        return own
    decoder = cast(av.VideoCodecContext, av.CodecContext.create(with_alpha, "r"))
    decoder.extradata = own.extradata
    decoder.thread_count = 1
    return decoder


def _is_cover(stream: av.VideoStream) -> bool:
    """Return whether a stream is the cover picture of a song."""
    return bool(stream.disposition & Disposition.attached_pic)
