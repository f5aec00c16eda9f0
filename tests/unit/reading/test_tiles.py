"""Lines of tiles are joined without doubles, in reading order; the reader here sees a drawn page exactly."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.reading.text_line import TextLine
from smallsight.reading.tiles import read_in_tiles, read_pages, tile_boxes

LETTER_PX = 20


@pytest.mark.parametrize("size", [(1080, 20_000), (12_000, 1080), (3840, 2160), (1, 65_535), (1153, 900)])
def test_tiles_cover_the_image_and_overlap(size):
    covered_WH = np.zeros(size, np.uint8)
    boxes = tile_boxes(*size)
    for left, top, right, bottom in boxes:
        assert right - left <= 1_152
        assert bottom - top <= 1_152
        covered_WH[left:right, top:bottom] += 1
    assert covered_WH.min() == 1
    assert len(boxes) == len(set(boxes))


class PageReader:
    """Reads lines of a page whose pixels hold their own place: as a perfect OCR would, cut by tiles."""

    def __init__(self, lines: list[tuple[int, int, str]]) -> None:
        self.lines = lines

    def __call__(self, image_HWC: np.ndarray) -> list[TextLine]:
        height_px, width_px = image_HWC.shape[:2]
        left, top = (int(number) for number in image_HWC[0, 0])
        found = []
        for x, y, text in self.lines:
            inside = [
                n for n in range(len(text)) if left <= x + n * LETTER_PX < left + width_px - LETTER_PX // 2
            ]
            if not inside or not top - 10 <= y <= top + height_px - 20:
                continue
            start, end = x + inside[0] * LETTER_PX, x + (inside[-1] + 1) * LETTER_PX
            xs = (max(0, (start - left) / width_px), min(1, (end - left) / width_px))
            ys = (max(0, (y - top) / height_px), min(1, (y + 30 - top) / height_px))
            box = ((xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1]))
            found.append(TextLine("".join(text[n] for n in inside).strip(), 0.9, box))
        return found


def page(width_px: int, height_px: int) -> np.ndarray:
    """Return an array in which each pixel holds its place, x and y."""
    y_HW, x_HW = np.mgrid[0:height_px, 0:width_px]
    return np.stack([x_HW, y_HW], axis=-1).astype(np.int32)


def test_lines_of_a_tall_page_come_once_and_in_order():
    lines = [(40 if n % 2 else 200, 25 + n * 64, f"message {n} please") for n in range(140)]
    found = read_in_tiles(page(1000, 9_000), 1600, PageReader(lines))
    assert [line.text for line in found] == [text for _, _, text in lines]
    for line, (x, y, _) in zip(found, lines, strict=True):
        assert abs(line.box[0][0] * 1000 - x) < 5
        assert abs(line.box[0][1] * 9_000 - y) < 5


def test_lines_longer_than_a_tile_are_joined():
    text = " ".join(f"word{n}" for n in range(30))
    found = read_in_tiles(page(4_400, 2_000), 1600, PageReader([(100, 320, text), (100, 640, text[:40])]))
    assert [line.text for line in found] == [text, text[:40]]
    assert found[0].box[1][0] > 0.9


def test_neighbours_in_a_row_stay_apart():
    lines = [
        (100 + 700 * column, 100 + 90 * row, f"r{row} c{column} paid")
        for row in range(9)
        for column in range(5)
    ]
    found = read_in_tiles(page(3_800, 1_200), 1600, PageReader(lines))
    assert [line.text for line in found] == [text for _, _, text in lines]


def test_a_small_image_is_read_whole():
    calls = []
    image_HWC = page(1_600, 900)
    assert read_in_tiles(image_HWC, 1600, lambda one: calls.append(one) or []) == []
    assert calls[0] is image_HWC


def test_moments_give_each_text_once_and_pages_all():
    box = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    texts = iter([["a", "b"], ["a", "b", "c"]] * 2)

    def read(_: np.ndarray) -> list[TextLine]:
        return [TextLine(text, 1.0, box) for text in next(texts)]

    images = [page(10, 10)] * 2
    for are_moments, expected in ((True, "abc"), (False, "ababc")):
        lines = read_pages(images, 1600, read, are_moments=are_moments)
        assert "".join(line.text for line in lines) == expected
