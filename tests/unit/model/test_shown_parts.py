from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips import animation, clip
from smallsight.errors import PictureNotFoundError, UnsupportedFormatError
from smallsight.families.frame_sampling import FewFrames
from smallsight.families.messages import PicturePart, Tile, TiledPart, TiledPicture, VideoPart
from smallsight.model.picture_argument import NamedBytes, NamedVideo, PictureArgument, RecalledPicture
from smallsight.model.shown_parts import PartKind, PartOpener, open_video
from smallsight.settings import Limits

LIMITS = Limits()
CLIP, LOOP = clip(20, fps=10), animation(4)
PICTURES, VIDEOS = FewFrames(2), FewFrames(3, knows_videos=True)


def kinds(argument: PictureArgument, kind: PartKind, sampling: FewFrames) -> list[str]:
    with PartOpener(LIMITS, sampling) as opener:
        parts = opener.open(argument, kind)
    return ["video" if isinstance(part, VideoPart) else "picture" for part in parts]


@pytest.mark.parametrize("kind", [PartKind.ALONE, PartKind.ONE_OF_SEVERAL, PartKind.VIDEO])
def test_a_video_file_is_a_video_wherever_it_may_be_one(kind: PartKind):
    assert kinds(CLIP, kind, VIDEOS) == ["video"]
    assert kinds(NamedBytes("clip.mp4", CLIP), kind, PICTURES) == ["picture", "picture"]


@pytest.mark.parametrize(
    ("kind", "expected", "of_pictures"),
    [
        (PartKind.ALONE, ["video"], ["picture"]),
        (PartKind.ONE_OF_SEVERAL, ["picture"], ["picture"]),
        (PartKind.PICTURE, ["picture"], ["picture"]),
        (PartKind.VIDEO, ["video"], ["picture", "picture"]),
    ],
)
def test_what_an_animation_is(kind: PartKind, expected: list[str], of_pictures: list[str]):
    assert kinds(LOOP, kind, VIDEOS) == expected
    assert kinds(LOOP, kind, PICTURES) == of_pictures


def test_a_file_is_passed_on_as_the_pixels_of_the_decoder(tmp_path: Path):
    pixels_HWC = np.random.default_rng(2).integers(0, 256, (7, 9, 3), np.uint8)
    Image.fromarray(pixels_HWC).save(tmp_path / "a.png")
    with PartOpener(LIMITS, PICTURES) as opener:
        for given in (tmp_path / "a.png", (tmp_path / "a.png").read_bytes()):
            (part,) = opener.open(given, PartKind.PICTURE)
            assert isinstance(part, PicturePart)
            assert isinstance(part.image, np.ndarray)
            np.testing.assert_array_equal(part.image, pixels_HWC)


def test_a_picture_that_was_shown_before_is_not_decoded_again():
    tile = Tile(np.zeros((2, 2, 3), np.uint8), b"")
    known = TiledPicture((tile,), 0, 0, (2, 2))
    data = b"no picture at all, so that decoding it would fail"
    asked: list[bytes] = []

    def recall(digest: bytes) -> TiledPicture | None:
        asked.append(digest)
        return known if digest == hashlib.sha256(data).digest() else None

    with PartOpener(LIMITS, PICTURES, recall) as opener:
        (shown,) = opener.open(data, PartKind.ALONE)
        assert isinstance(shown, TiledPart)
        assert shown.picture is known
        assert opener.open(RecalledPicture("cat.png", known), PartKind.PICTURE) != ()
        (opened,) = opener.open(LOOP, PartKind.PICTURE)
        assert isinstance(opened, PicturePart)
        assert opened.digest == asked[-1] == hashlib.sha256(LOOP).digest()
        with pytest.raises(UnsupportedFormatError):
            opener.open(data + b"!", PartKind.ALONE)
        assert len(asked) == 3


def test_a_video_is_no_picture_and_a_picture_no_video(tmp_path: Path):
    with pytest.raises(UnsupportedFormatError, match="a video"):
        kinds(CLIP, PartKind.PICTURE, VIDEOS)
    for argument in (Image.new("RGB", (4, 4)), np.zeros((4, 4, 3), np.uint8), b"hello"):
        with pytest.raises(UnsupportedFormatError):
            kinds(argument, PartKind.VIDEO, VIDEOS)
    with pytest.raises(PictureNotFoundError):
        kinds(tmp_path / "none.mp4", PartKind.ALONE, VIDEOS)


def test_what_is_open_already_stays_as_it_is():
    image = Image.new("RGB", (4, 4))
    with PartOpener(LIMITS, VIDEOS) as opener:
        (part,) = opener.open(image, PartKind.ALONE)
        assert isinstance(part, PicturePart)
        assert part.image is image
        seen = opener.video(NamedBytes("folder/clip.mp4", CLIP))
        assert seen.name == "folder/clip.mp4"
        assert opener.video(seen) is seen
        (part,) = opener.open(seen, PartKind.ALONE)
        assert isinstance(part, VideoPart)
        assert part.video is seen.video


def test_frames_have_their_times():
    video = open_video(CLIP, VIDEOS, LIMITS)
    assert ([frame.time_s for frame in video.frames], video.duration_s) == ([0.3, 1.0, 1.6], 2.0)
    assert NamedVideo(None, video).video.frames[0].pixels_HWC.shape == (48, 64, 3)
