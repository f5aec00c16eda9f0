"""Pictures that are read at the same time in one child: none changes, delays for ever or loses another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.errors import DecoderFailedError, DecoderNotStartedError
from smallsight.reading import text_reader
from smallsight.reading.text_line import TextLine
from smallsight.reading.text_reader import TextReader
from smallsight.settings import Settings
from trial_reader_child import DEADLY, ENDLESS, SHY, SLOW

WORDS = "harbor walnut gravel ribbon copper meadow saddle pepper".split()


def plain(colour: tuple[int, int, int], height_px: int = 8, width_px: int = 8) -> np.ndarray:
    return np.full((height_px, width_px, 3), colour, np.uint8)


def page(number: int) -> np.ndarray:
    """Return a picture with as many lines as its number, some of them turned or small."""
    image = Image.new("RGB", (400 + 90 * number, 300 + 70 * number), (200 - 9 * number, 215, 190))
    draw = ImageDraw.Draw(image)
    for line in range(number):
        text = " ".join(WORDS[(number + line + word) % len(WORDS)] for word in range(1 + line % 3))
        draw.text((20, 20 + 60 * line), text, "black", ImageFont.load_default(size=18 + 4 * (line % 4)))
    return np.asarray(image.rotate(90 * (number % 2), expand=True))


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TextReader]:
    """A reader whose child does what the colour of a picture says."""
    monkeypatch.setattr(text_reader, "_CHILD", "trial_reader_child")
    with TextReader(Settings(home=tmp_path, threads=2)) as reader:
        yield reader


def read_all(reader: TextReader, images: list[np.ndarray]) -> list[list[str] | str]:
    """Return the words of the line of each image, or the error; all are asked for at the same time."""

    def read(image_HWC: np.ndarray) -> list[str] | str:
        try:
            return reader.read(image_HWC)[0].text.split()
        except DecoderFailedError as error:
            return error.message

    with ThreadPoolExecutor(len(images)) as threads:
        return list(threads.map(read, images))


def test_pictures_beside_others_are_read_as_alone(tmp_path: Path):
    pytest.importorskip("rapidocr")
    pages = [page(number) for number in range(7)]
    with TextReader(Settings(home=tmp_path, threads=2)) as reader:
        alone = [reader.read(one) for one in pages]
        assert [len(lines) for lines in alone][1:] != [0] * 6
        with ThreadPoolExecutor(3) as threads:
            for order in (pages, pages[::-1]):
                beside: list[list[TextLine]] = list(threads.map(reader.read, order * 2))
                assert beside == (alone if order is pages else alone[::-1]) * 2


def test_two_pictures_share_a_child(trial: TextReader):
    found = read_all(trial, [plain(SLOW)] * 6)
    assert len({pid for _, pid, _ in found}) == 1
    assert {int(others) for _, _, others in found} == {1}


def test_with_one_thread_pictures_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_reader, "_CHILD", "trial_reader_child")
    with TextReader(Settings(home=tmp_path, threads=1)) as reader:
        assert [int(others) for _, _, others in read_all(reader, [plain(SLOW)] * 3)] == [0, 0, 0]


def test_a_large_picture_is_alone_in_the_child(trial: TextReader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_reader, "_PIXELS_AT_ONCE", 100)
    with TextReader(Settings(home=Path("unused"), threads=2)) as reader:
        found = read_all(reader, [plain(SLOW), plain(SLOW, 10, 30), plain(SLOW), plain(SLOW, 10, 11)])
        assert [int(others) for _, _, others in found][1::2] == [0, 0]


def test_a_picture_that_kills_the_child_costs_no_other(trial: TextReader):
    found = read_all(trial, [plain(SLOW), plain(DEADLY), plain(SLOW), plain((3, 3, 3)), plain(SLOW)])
    assert found.pop(1) == "The text reader died on this picture: ended with exit code 3."
    assert [one[0] for one in found] == ["9", "9", "3", "9"]


def test_two_pictures_that_kill_the_child_cost_no_other(trial: TextReader):
    found = read_all(trial, [plain(DEADLY), plain(SLOW), plain(DEADLY), plain((4, 4, 4))])
    assert "died" in found[0]
    assert "died" in found[2]
    assert [found[1][0], found[3][0]] == ["9", "4"]


def test_a_picture_without_end_costs_no_other(trial: TextReader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_reader, "_TIMEOUT_S", 2.0)
    found = read_all(trial, [plain(SLOW), plain(ENDLESS), plain(SLOW), plain((3, 3, 3))])
    assert found.pop(1) == "Reading the text took too long (limit 2 s)."
    assert [one[0] for one in found] == ["9", "9", "3"]


def test_a_deadline_that_passes_beside_another_picture_proves_nothing(
    trial: TextReader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(text_reader, "_TIMEOUT_S", 2.0)
    shy, slow = read_all(trial, [plain(SHY), plain(SLOW)])
    assert (shy[0], shy[2], slow[0]) == ("8", "0", "9")


def test_a_child_that_dies_with_pictures_is_replaced_and_they_are_read(trial: TextReader):
    trial.read(plain((1, 1, 1)))
    first = trial._child.pid  # noqa: SLF001 - this reader's own child
    with ThreadPoolExecutor(2) as threads:
        begun = [threads.submit(trial.read, plain(SLOW)) for _ in range(2)]
        time.sleep(0.1)
        psutil.Process(first).kill()
        pids = [one.result()[0].text.split()[1] for one in begun]
    assert str(first) not in pids


def test_a_grown_child_is_replaced_when_nothing_is_in_it(trial: TextReader, monkeypatch: pytest.MonkeyPatch):
    trial.read(plain((1, 1, 1)))
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(trial.read, plain(SLOW))
        time.sleep(0.1)
        monkeypatch.setattr(text_reader, "_MAX_CHILD_RSS_BYTES", 1)
        second = threads.submit(trial.read, plain(SLOW))
        (_, pid, others), (_, next_pid, next_others) = (
            one.result()[0].text.split() for one in (first, second)
        )
    assert pid != next_pid
    assert others == next_others == "0"


def test_closing_ends_a_reading_at_once_and_the_next_one_starts_a_child(trial: TextReader):
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(trial.read, plain(ENDLESS))
        time.sleep(0.5)
        started_s = time.monotonic()
        trial.close()
        with pytest.raises(DecoderFailedError, match="closed"):
            endless.result()
    assert time.monotonic() - started_s < 10
    assert trial.read(plain((2, 2, 2)))[0].text.startswith("2 ")


def test_closing_starts_no_child_for_pictures_that_wait_for_their_turn(trial: TextReader):
    with ThreadPoolExecutor(6) as threads:
        endless = [threads.submit(trial.read, plain(ENDLESS)) for _ in range(6)]
        time.sleep(1.0)
        trial.close()
        for one in endless:
            with pytest.raises(DecoderFailedError, match="closed"):
                one.result()
    assert not [one for one in psutil.Process().children() if "trial_reader_child" in one.cmdline()]


def test_a_child_that_does_not_start_is_a_sentence(trial: TextReader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_reader, "_CHILD", "no_such_child")
    with pytest.raises(DecoderNotStartedError, match="did not start"):
        trial.read(plain((2, 2, 2)))
    monkeypatch.setattr(text_reader, "_CHILD", "trial_reader_child")
    assert trial.read(plain((2, 2, 2)))[0].text.startswith("2 ")


def test_a_child_that_is_started_ahead_is_the_one_that_reads(trial: TextReader):
    trial.start()
    trial.start()
    assert trial.read(plain((2, 2, 2)))[0].text.split()[1] == str(trial._child.pid)  # noqa: SLF001 - its own
    children = [one for one in psutil.Process().children() if "trial_reader_child" in one.cmdline()]
    assert len(children) == 1


def test_closing_ends_a_child_that_was_started_ahead(trial: TextReader):
    trial.start()
    trial.close()
    time.sleep(0.5)
    assert not [one for one in psutil.Process().children() if "trial_reader_child" in one.cmdline()]
