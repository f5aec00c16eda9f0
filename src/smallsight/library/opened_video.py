"""Opens a video for the stages: a still as its picture, further frames to read, and frames to embed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smallsight.errors import PictureError
from smallsight.library.opened_content import Needs
from smallsight.media.child_process import ChildStop
from smallsight.media.decoder import PictureDecoder
from smallsight.media.large_files import LargeFile
from smallsight.media.moments import Moment, as_tiff, different_frames, readable_frames, still_of
from smallsight.media.picture import DecodedPicture
from smallsight.media.video import VideoReader
from smallsight.media.video_formats import sniff_video
from smallsight.settings import Limits

FRAME_SIDE_PX = 768  # at which frames are kept until they are embedded; networks see fewer pixels
_SEEN = Needs.FACTS | Needs.READABLE | Needs.FULL_SIZE


@dataclass(frozen=True, slots=True)
class VideoOpener:
    """Opens videos and animations, each in a separate child that ``stop`` ends."""

    limits: Limits
    ocr_side_px: int
    thumbnail_side_px: int
    stop: ChildStop

    def picture(
        self, decoder: PictureDecoder, data: bytes | LargeFile, needs: Needs
    ) -> DecodedPicture | None:
        """Return what the stages need of a video's still, None for nothing; raises PictureError.

        It has no perceptual hashes: two videos that begin alike are not copies of one picture.
        """
        if not needs & _SEEN:
            return None
        is_read = Needs.READABLE in needs
        with VideoReader(data, self.limits, stop=self.stop) as reader:
            facts = reader.facts
            still = still_of(reader)
            further = readable_frames(reader, still) if is_read else []
        decoded = decoder.decode(
            as_tiff(still.pixels_HWC),
            max_side_px=self.ocr_side_px if is_read else None,
            thumbnail_side_px=self.thumbnail_side_px if Needs.FACTS in needs else None,
            wants_full_size=Needs.FULL_SIZE in needs,
            wants_pages=is_read,
        )
        pages = [page for moment in further for page in self._pages(decoder, moment)]
        return replace(
            decoded,
            format=sniff_video(data.head if isinstance(data, LargeFile) else data),
            num_frames=facts.num_frames,
            duration_s=facts.duration_s,
            still_s=still.time_s,
            pages_HWC=(*decoded.pages_HWC, *pages),
        )

    def frames(self, data: bytes | LargeFile) -> list[Moment]:
        """Return the frames of a video or an animation that are embedded; raises PictureError."""
        with VideoReader(data, self.limits, stop=self.stop) as reader:
            return different_frames(reader, FRAME_SIDE_PX)

    def _pages(self, decoder: PictureDecoder, moment: Moment) -> tuple[npt.NDArray[np.uint8], ...]:
        try:
            tiff = as_tiff(moment.pixels_HWC)
            return decoder.decode(tiff, max_side_px=self.ocr_side_px, wants_pages=True).pages_HWC
        except PictureError:  # the still is read all the same
            return ()
