"""The memory of pictures that were cut."""

from __future__ import annotations

import numpy as np

from smallsight.families.messages import Detail, Tile, TiledPicture
from smallsight.families.tiled_pictures import TiledPictures


def picture(num_tiles: int) -> TiledPicture:
    tile = Tile(np.zeros((2, 2, 3), np.uint8), b"")  # 12 bytes
    return TiledPicture((tile,) * num_tiles, 0, 0, (2, 2))


def test_the_least_recently_used_go_first():
    known = TiledPictures(24)
    first, second = picture(1), picture(1)
    known.remember(b"a", Detail.AUTO, first)
    known.remember(b"b", Detail.AUTO, second)
    assert known.find(b"a", Detail.AUTO) is first
    known.remember(b"c", Detail.AUTO, picture(1))
    assert known.find(b"b", Detail.AUTO) is None
    assert known.find(b"a", Detail.AUTO) is first
    assert known.num_bytes == 24


def test_another_detail_is_another_picture():
    known = TiledPictures(100)
    known.remember(b"a", Detail.HIGH, picture(4))
    assert known.find(b"a", Detail.LOW) is None
    known.remember(b"a", Detail.LOW, picture(1))
    known.remember(b"a", Detail.LOW, picture(1))
    assert known.num_bytes == 60


def test_what_is_larger_than_all_room_is_not_kept():
    known = TiledPictures(24)
    known.remember(b"small", Detail.AUTO, picture(1))
    known.remember(b"large", Detail.AUTO, picture(3))
    assert known.find(b"large", Detail.AUTO) is None
    assert known.find(b"small", Detail.AUTO) is not None
