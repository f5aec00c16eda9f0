"""Reading text with the real networks, in the real child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.errors import DecoderFailedError, MissingExtraError
from smallsight.reading import text_reader
from smallsight.reading.text_reader import TextReader, is_reading_available
from smallsight.settings import Settings


def drawn(*lines: str, width_px: int = 640, height_px: int = 360) -> np.ndarray:
    image = Image.new("RGB", (width_px, height_px), (30, 60, 110))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        y = (number + 0.5) * height_px / len(lines)
        draw.text((width_px / 2, y), line, "white", ImageFont.load_default(size=40), anchor="mm")
    return np.asarray(image)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextReader]:
    with TextReader(Settings(home=tmp_path_factory.mktemp("home"))) as reader:
        yield reader


def child_of(reader: TextReader) -> psutil.Process:
    assert reader._child is not None  # noqa: SLF001 - this reader's own child
    return psutil.Process(reader._child.pid)  # noqa: SLF001 - this reader's own child


def test_lines_come_from_top_to_bottom_with_boxes_and_confidence(reader: TextReader):
    lines = reader.read(drawn("MONDAY AGAIN", "more coffee please"))
    assert [line.text for line in lines] == ["MONDAY AGAIN", "more coffee please"]
    for line, (top, bottom) in zip(lines, [(0.1, 0.4), (0.6, 0.9)], strict=True):
        assert 0.8 < line.confidence <= 1.0
        assert len(line.box) == 4
        assert all(0.0 <= x <= 1.0 and top < y < bottom for x, y in line.box)
        assert line.box[0][0] < line.box[1][0]


def test_a_picture_without_text_has_no_lines(reader: TextReader):
    assert reader.read(np.full((300, 400, 3), 200, np.uint8)) == []


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (40, 40), (2600, 700), (33, 1999)])
def test_any_shape_can_be_read(reader: TextReader, shape: tuple[int, int]):
    assert reader.read(np.full((*shape, 3), 128, np.uint8)) == []


@pytest.mark.slow
def test_small_text_on_a_tall_screenshot_is_found(reader: TextReader):
    image = Image.new("RGB", (720, 1600), "white")
    draw = ImageDraw.Draw(image)
    draw.text((40, 1400), "the answer is at the bottom", "black", ImageFont.load_default(size=26))
    assert [line.text for line in reader.read(np.asarray(image))] == ["the answer is at the bottom"]


def test_the_answer_does_not_depend_on_what_was_read_before(reader: TextReader):
    image = drawn("exactly the same", width_px=500, height_px=200)
    before = reader.read(image)
    reader.read(drawn("something else entirely", width_px=900, height_px=700))
    assert reader.read(image) == before


def test_a_child_that_died_is_replaced(reader: TextReader):
    reader.read(drawn("hello"))
    first = child_of(reader)
    first.kill()
    first.wait(10)
    assert [line.text for line in reader.read(drawn("still here"))] == ["still here"]
    assert child_of(reader).pid != first.pid


def test_a_picture_that_takes_too_long_is_an_error_and_the_next_is_read(
    reader: TextReader, monkeypatch: pytest.MonkeyPatch
):
    reader.read(drawn("warm"))
    monkeypatch.setattr(text_reader, "_TIMEOUT_S", 0.001)
    with pytest.raises(DecoderFailedError, match="took too long"):
        reader.read(drawn("slow"))
    monkeypatch.undo()
    assert [line.text for line in reader.read(drawn("next"))] == ["next"]


def test_a_grown_child_is_replaced(reader: TextReader, monkeypatch: pytest.MonkeyPatch):
    reader.read(drawn("hello"))
    first = child_of(reader).pid
    monkeypatch.setattr(text_reader, "_MAX_CHILD_RSS_BYTES", 1)
    reader.read(drawn("hello"))
    assert child_of(reader).pid != first


def test_closing_ends_the_child(reader: TextReader):
    reader.read(drawn("hello"))
    child = child_of(reader)
    reader.close()
    child.wait(10)
    assert not child.is_running()


def test_without_the_extra_it_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert is_reading_available()
    monkeypatch.setattr(text_reader, "find_spec", lambda _: None)
    assert not is_reading_available()
    with pytest.raises(MissingExtraError) as caught:
        TextReader(Settings(home=tmp_path))
    assert "smallsight[ocr]" in (caught.value.hint or "")


@pytest.mark.parametrize("kernels", [True, False])
def test_the_setting_kernels_decides_about_the_extension(tmp_path: Path, kernels: bool):
    pytest.importorskip("rapidocr")
    image = Image.new("RGB", (500, 120), "white")
    ImageDraw.Draw(image).text((20, 30), "harbor lantern", "black", ImageFont.load_default(size=48))
    with TextReader(Settings(home=tmp_path, kernels=kernels)) as reader:
        assert [line.text for line in reader.read(np.asarray(image))] == ["harbor lantern"]
        child = max(psutil.Process().children(), key=lambda one: one.create_time())
        assert ("without-extension" in child.cmdline()) is not kernels
