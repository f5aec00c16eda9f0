"""What the system refuses for want of threads, processes or files is no file's fault, and is tried again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

import smallsight
from smallsight.errors import DecoderNotStartedError, OutOfResourcesError, UnexpectedPictureError
from smallsight.errors.refusals import refused_by_system
from smallsight.library.content_opener import ContentOpener


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("one", "two"):
        Image.effect_noise((40, 30), 40).save(folder / f"{name}.png")
    return folder


def test_a_run_whose_decoder_cannot_start_blames_no_picture(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    limits = {"decode_memory_bytes": 2**31 - 4096}  # so that no child of another test serves this one
    with smallsight.open_library(tmp_path / "home", index={"ocr": False}, limits=limits) as library:
        with monkeypatch.context() as short:
            short.setattr("smallsight.media.child_process._DECODE_CHILD", "smallsight_is_not_here")
            with pytest.raises(DecoderNotStartedError):
                library.index(pictures)
        assert library.index().problems == ()
        details = library.details(pictures / "one.png")
        assert (details.width_px, details.problems) == (40, ())


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        *(OSError(one, os.strerror(one)) for one in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)),
    ],
)
def test_a_refusal_of_the_system_ends_the_run_and_the_next_one_goes_on(
    error: Exception, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
):
    assert refused_by_system(error) is not None

    def refused(*_: object) -> bytes:
        raise error

    with smallsight.open_library(tmp_path / "home", index={"ocr": False}) as library:
        with monkeypatch.context() as short:
            short.setattr(ContentOpener, "_data_of", refused)
            with pytest.raises(OutOfResourcesError, match="The system refused"):
                library.index(pictures)
        assert library.index().problems == ()
        assert library.details(pictures / "two.png").problems == ()


def test_other_errors_stay_those_of_their_file():
    for error in (RuntimeError("other"), OSError(errno.EIO, "x"), MemoryError(), ValueError("x")):
        assert refused_by_system(error) is None
        assert isinstance(UnexpectedPictureError.of(error), UnexpectedPictureError)
