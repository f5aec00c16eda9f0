"""Opens pictures and videos for many requests at once: a few threads, each with its decoding process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.plain_rgb import OpenedImage
from smallsight.machine.memory import other_process_bytes
from smallsight.media.child_process import ChildStop
from smallsight.model.picture_argument import NamedBytes, NamedImage, NamedVideo, PictureOpener
from smallsight.model.shown_parts import open_video
from smallsight.settings import Limits

_NUM_THREADS = 2


class DecodingThreads:
    """Decodes untrusted bytes outside this process without blocking the event loop. Close it at the end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._own = threading.local()
        self._openers: list[PictureOpener] = []
        self._watched: set[ChildStop] = set()
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-pictures")

    async def open(self, picture: NamedBytes, digest: bytes | None = None) -> NamedImage:
        """Return a picture's first frame; ``digest`` is the SHA-256 of its file, and is passed through.

        Raises subclasses of PictureError.
        """
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(self._threads, self._open, picture)
        return NamedImage(picture.name or None, image, digest)

    async def open_video(self, video: NamedBytes, sampling: FrameSampling) -> NamedVideo:
        """Return the frames that a model sees of a video; raises subclasses of PictureError.

        Cancelling it stops the decoding, because a video occupies a thread for long.
        """
        loop = asyncio.get_running_loop()
        stop = ChildStop()
        opening = partial(open_video, video.data, sampling, self._limits, stop=stop)
        self._watched.add(stop)
        try:
            return NamedVideo(video.name or None, await loop.run_in_executor(self._threads, opening))
        except asyncio.CancelledError:
            stop.call()
            raise
        finally:
            self._watched.discard(stop)

    def memory_bytes(self) -> int:
        """Return the memory of the decoding processes now."""
        num_bytes = 0
        decoding: tuple[PictureOpener | ChildStop, ...] = (*self._openers, *self._watched)
        for one in decoding:
            if (pid := one.child_pid) is not None:
                num_bytes += other_process_bytes(pid)
        return num_bytes

    def close(self) -> None:
        """Stop the threads and their decoding processes; pictures still waiting are dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for opener in self._openers:
            opener.close()

    def _open(self, picture: NamedBytes) -> OpenedImage:
        # A decoding process ends with the thread that started it, so each thread keeps its own.
        opener: PictureOpener | None = getattr(self._own, "opener", None)
        if opener is None:
            opener = self._own.opener = PictureOpener(self._limits)
            self._openers.append(opener)
        return opener.open_pixels(picture)
