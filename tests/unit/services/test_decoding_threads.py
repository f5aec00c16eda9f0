import asyncio
import io
from functools import cache

import psutil
import pytest
from PIL import Image

from clips import clip
from clocks import wait_until
from smallsight.errors import CorruptPictureError
from smallsight.families.frame_sampling import FewFrames
from smallsight.model.picture_argument import NamedBytes
from smallsight.services.decoding_threads import DecodingThreads
from smallsight.settings import Limits


def png(width: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, 10)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module", autouse=True)
def decoders_last() -> None:
    """They do not: that they end is tested here."""


@cache
def long_video() -> NamedBytes:
    return NamedBytes("clip.mp4", clip(600, 320, 240))


def test_pictures_are_opened_side_by_side_in_two_processes_that_end():
    before = set(psutil.Process().children(recursive=True))
    pool = DecodingThreads(Limits())

    async def go() -> list[int]:
        pictures = [NamedBytes(f"{width}.png", png(width)) for width in range(1, 20)]
        opened = await asyncio.gather(*map(pool.open, pictures))
        assert [one.name for one in opened] == [one.name for one in pictures]
        with pytest.raises(CorruptPictureError):
            await pool.open(NamedBytes("", b"\x89PNG\r\n\x1a\nnothing"))
        return [one.size[0] for one in opened]

    assert asyncio.run(go()) == list(range(1, 20))
    assert len(set(psutil.Process().children(recursive=True)) - before) <= 2
    pool.close()
    assert set(psutil.Process().children(recursive=True)) <= before


def decoders() -> list[psutil.Process]:
    """Return the processes that decode videos; one that has only been forked is not one yet."""
    return [child for child in psutil.Process().children() if is_decoder(child)]


def is_decoder(child: psutil.Process) -> bool:
    try:
        return "smallsight.media.video_child" in child.cmdline()
    except psutil.Error:  # it has ended since, and waits to be collected
        return False


def test_a_video_that_is_given_up_costs_no_more_time():
    pool = DecodingThreads(Limits())
    video = long_video()

    async def go() -> None:
        waiting = [asyncio.ensure_future(pool.open_video(video, FewFrames(4))) for _ in range(5)]
        await asyncio.to_thread(wait_until, lambda: len(decoders()) >= 2)
        for decoder in decoders():
            decoder.suspend()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)  # halted, a decoder would never answer
        assert all(one.cancelled() for one in waiting)
        opened = await pool.open(NamedBytes("", png(7)))
        assert opened.size[0] == 7

    asyncio.run(go())
    pool.close()
    assert decoders() == []


def test_what_decodes_counts_as_memory_until_it_ends():
    pool = DecodingThreads(Limits())

    async def go() -> None:
        assert pool.memory_bytes() == 0
        video = long_video()
        waiting = [asyncio.ensure_future(pool.open_video(video, FewFrames(4))) for _ in range(4)]
        most_bytes = 0
        while not all(one.done() for one in waiting):  # a decoder that has only begun holds next to nothing
            most_bytes = max(most_bytes, pool.memory_bytes())
            await asyncio.sleep(0.002)
        assert most_bytes > 2**20
        await asyncio.gather(*waiting)
        assert pool.memory_bytes() == 0
        await pool.open(NamedBytes("", png(7)))
        assert pool.memory_bytes() > 2**20

    asyncio.run(go())
    pool.close()
