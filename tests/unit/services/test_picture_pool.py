import asyncio
import io

import psutil
import pytest
from PIL import Image

from smallsight.errors import CorruptPictureError
from smallsight.model.picture_argument import NamedBytes
from smallsight.services.picture_pool import PicturePool
from smallsight.settings import Limits


def png(width: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, 10)).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_are_opened_side_by_side_in_two_processes_that_end():
    before = set(psutil.Process().children(recursive=True))
    pool = PicturePool(Limits())

    async def go() -> list[int]:
        pictures = [NamedBytes(f"{width}.png", png(width)) for width in range(1, 20)]
        opened = await asyncio.gather(*map(pool.open, pictures))
        assert [one.name for one in opened] == [one.name for one in pictures]
        with pytest.raises(CorruptPictureError):
            await pool.open(NamedBytes("", b"\x89PNG\r\n\x1a\nnothing"))
        return [one.image.width for one in opened]

    assert asyncio.run(go()) == list(range(1, 20))
    assert len(set(psutil.Process().children(recursive=True)) - before) <= 2
    pool.close()
    assert set(psutil.Process().children(recursive=True)) <= before
