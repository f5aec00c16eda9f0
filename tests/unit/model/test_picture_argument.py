"""Everything a caller may pass as a picture, through the real decoder."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallsight
from smallsight.errors import (
    ArgumentError,
    CorruptPictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.model.picture_argument import (
    NamedBytes,
    NamedImage,
    PictureOpener,
    list_pictures,
    name_of_picture,
    open_picture,
)
from smallsight.settings import Limits

LIMITS = Limits()
COLOUR = (10, 200, 30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "green field.png"
    Image.new("RGB", (37, 21), COLOUR).save(path)
    return path


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "named bytes", "image", "array"])
def test_every_kind_of_picture_opens_to_the_same_pixels(path: Path, kind: str):
    pixels_HWC = np.full((21, 37, 3), COLOUR, np.uint8)
    picture = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "named bytes": NamedBytes("x.png", path.read_bytes()),
        "image": Image.fromarray(pixels_HWC),
        "array": pixels_HWC,
    }[kind]
    image = open_picture(picture, LIMITS)
    assert (image.mode, image.size) == ("RGB", (37, 21))
    assert np.array_equal(np.asarray(image), pixels_HWC)


def test_an_upright_rgb_image_is_taken_as_it_is():
    image = Image.new("RGB", (3, 2))
    assert open_picture(image, LIMITS) is image
    assert open_picture(NamedImage("a.png", image), LIMITS) is image


def test_pixels_of_a_decoder_are_taken_without_a_copy_and_within_the_limits():
    pixels_HWC = np.random.default_rng(4).integers(0, 256, (20, 30, 3), np.uint8)
    named = NamedImage("a.jpg", pixels_HWC)
    assert named.size == (30, 20)
    with PictureOpener(LIMITS) as opener:
        assert opener.open_pixels(named) is pixels_HWC
        assert np.array_equal(np.asarray(opener.open(named)), pixels_HWC)
        grey = opener.open(NamedImage("grey", pixels_HWC[..., 0]))
        assert np.array_equal(np.asarray(grey), np.repeat(pixels_HWC[..., :1], 3, axis=2))
        for wrong in (pixels_HWC.astype(np.float32), pixels_HWC[:0], pixels_HWC[..., :2]):
            with pytest.raises(UnsupportedFormatError):
                opener.open_pixels(NamedImage("wrong", wrong))
    with PictureOpener(Limits(max_image_pixels=599)) as opener, pytest.raises(PictureTooLargeError):
        opener.open_pixels(named)


def test_an_opened_image_gives_the_pixels_of_its_file(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 8
    values_HW = np.arange(1200, dtype=np.uint16).reshape(30, 40) * 54
    Image.fromarray(values_HW).save(tmp_path / "deep.png", exif=exif)
    file_HWC = np.asarray(open_picture(tmp_path / "deep.png", LIMITS))
    assert file_HWC.shape == (40, 30, 3)
    with Image.open(tmp_path / "deep.png") as image:
        for given in (image, NamedImage("deep.png", image)):
            assert np.array_equal(np.asarray(open_picture(given, LIMITS)), file_HWC)


def test_large_files_keep_every_pixel_and_come_back_upright(tmp_path: Path):
    pixels_HWC = np.random.default_rng(3).integers(0, 256, (900, 2500, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels_HWC).save(tmp_path / "large.png", exif=exif)
    opened_HWC = np.asarray(open_picture(tmp_path / "large.png", LIMITS))
    assert np.array_equal(opened_HWC, np.rot90(pixels_HWC, k=-1))


def test_part_of_an_array_may_be_given():
    pixels_HWC = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    image = open_picture(pixels_HWC[::-1, ::2], LIMITS)
    assert np.array_equal(np.asarray(image), pixels_HWC[::-1, ::2])


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((4, 4), bool),
    ],
)
def test_an_array_of_another_form_is_refused_by_name(pixels: np.ndarray):
    with pytest.raises(UnsupportedFormatError, match=str(pixels.dtype)):
        open_picture(pixels, LIMITS)


@pytest.mark.parametrize("limits", [Limits(max_image_pixels=11), Limits(max_image_side_px=3)])
def test_arrays_and_images_keep_the_limits(limits: Limits):
    with pytest.raises(PictureTooLargeError, match="The picture has"):
        open_picture(np.zeros((3, 4, 3), np.uint8), limits)
    with pytest.raises(PictureTooLargeError, match="The picture has"):
        open_picture(Image.new("LA", (4, 3)), limits)


def test_grey_arrays_and_those_with_transparency():
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(np.asarray(open_picture(grey, LIMITS)), np.dstack([grey] * 3))
    black_on_nothing = np.zeros((4, 6, 4), np.uint8)
    black_on_nothing[1, :, 3] = 255
    shown = np.asarray(open_picture(black_on_nothing, LIMITS))
    assert (shown[1] == 0).all()
    assert (shown[[0, 2, 3]] == 255).all()


def test_open_files_and_buffers_are_read_from_their_start(path: Path):
    expected = np.asarray(open_picture(path, LIMITS))
    buffer = io.BytesIO(path.read_bytes())
    buffer.seek(7)
    assert np.array_equal(np.asarray(open_picture(buffer, LIMITS)), expected)
    with path.open("rb") as file:
        assert np.array_equal(np.asarray(open_picture(file, LIMITS)), expected)
        assert name_of_picture(file) == path.name
    with pytest.raises(PictureNotFoundError, match="cannot be read"):
        open_picture(file, LIMITS)
    with path.open(encoding="latin-1") as text, pytest.raises(UnsupportedFormatError, match="as text"):
        open_picture(text, LIMITS)  # type: ignore[arg-type]
    with pytest.raises(PictureTooLargeError, match="more than 10 bytes"):
        open_picture(io.BytesIO(bytes(11)), Limits(max_file_bytes=10))


def test_a_tilde_is_the_users_folder(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("USERPROFILE", str(path.parent))
    assert open_picture(f"~/{path.name}", LIMITS).size == (37, 21)
    monkeypatch.chdir(path.parent)
    (path.parent / "~").mkdir()
    (path.parent / "~" / "own.png").write_bytes(path.read_bytes())
    assert open_picture("~/own.png", LIMITS).size == (37, 21)


@pytest.mark.parametrize("one", ["a.png", Path("a.png"), b"bytes", Image.new("RGB", (2, 2))])
def test_one_picture_is_not_several(one: object):
    with smallsight.load("test") as model, pytest.raises(ArgumentError, match="Several pictures"):
        list(model.describe_many(one))  # type: ignore[arg-type]


def test_what_is_no_picture_is_refused(tmp_path: Path):
    with pytest.raises(UnsupportedFormatError, match="A value of type int is not a picture"):
        open_picture(7, LIMITS)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedFormatError):
        open_picture(b"hello", LIMITS)
    with pytest.raises(CorruptPictureError):
        open_picture(b"\xff\xd8\xff\xe0 nothing", LIMITS)
    with pytest.raises(PictureNotFoundError):
        open_picture(tmp_path / "nowhere.png", LIMITS)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://example.com/a.png", "Addresses are not fetched: https://example.com/a.png"),
        (Path("HTTP://example.com/a.png"), "Addresses are not fetched: HTTP:/example.com/a.png"),
        ("file:///home/a.png", "Addresses are not fetched"),
        ("data:image/png;base64,AAAA", "A data: address is not a path"),
    ],
    ids=["https", "path", "file", "data"],
)
def test_an_address_is_not_fetched(address: str | Path, words: str):
    with pytest.raises(PictureNotFoundError, match=words):
        open_picture(address, LIMITS)


def test_a_file_may_be_named_like_an_address(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(path.parent)
    folder = path.parent / "http:"
    folder.mkdir()
    path.rename(folder / "a.png")
    assert open_picture("http:/a.png", LIMITS).size == (37, 21)


def test_a_tensor_of_another_library_is_refused_with_what_to_do():
    class Tensor:
        def __array__(self) -> np.ndarray:
            return np.zeros((3, 4, 4), np.float32)

    with pytest.raises(UnsupportedFormatError, match=r"type Tensor is not a picture.*uint8 array"):
        open_picture(Tensor(), LIMITS)  # type: ignore[arg-type]


def test_an_opener_goes_on_after_a_bad_picture_and_after_closing(path: Path):
    with PictureOpener(LIMITS) as opener:
        with pytest.raises(UnsupportedFormatError):
            opener.open(b"hello")
        assert opener.open(path).size == (37, 21)
        opener.close()
        assert opener.open(path).size == (37, 21)


def test_names_come_from_whatever_has_one(path: Path):
    with Image.open(path) as image:
        assert name_of_picture(image) == "green field.png"
    assert name_of_picture(path) == name_of_picture(str(path)) == "green field.png"
    assert name_of_picture(NamedBytes("folder/a.png", b"")) == "a.png"
    assert name_of_picture(Image.open(io.BytesIO(path.read_bytes()))) is None
    assert name_of_picture(b"") is None
    assert name_of_picture(np.zeros((1, 1, 3), np.uint8)) is None


def test_one_picture_is_a_list_of_one():
    assert list_pictures("a.png") == ["a.png"]
    assert list_pictures(b"ab") == [b"ab"]
    assert list_pictures(["a.png", b"ab"]) == ["a.png", b"ab"]
    assert list_pictures(()) == []
    pixels_HWC = np.zeros((1, 1, 3), np.uint8)
    assert list_pictures(pixels_HWC)[0] is pixels_HWC
