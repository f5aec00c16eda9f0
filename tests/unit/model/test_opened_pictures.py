"""A PIL image gets the answer that its own file gets, in every family and by every way of asking."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

import smallsight
from smallsight.errors import ArgumentError
from smallsight.settings import Settings
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM
from tiny_smolvlm import make_checkpoint

MAX_TOKENS = 6


@pytest.fixture(scope="module", params=["smolvlm", "florence2", "moondream2"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "model"
    match request.param:
        case "smolvlm":
            make_checkpoint(folder, SMOLVLM[0])
        case "florence2":
            write_tiny_florence2(folder, FLORENCE2[0])
        case _:
            write_tiny_moondream2(folder, MOONDREAM2[0])
    home = tmp_path_factory.mktemp("home")
    with smallsight.load(folder, precision="fp32", settings=Settings(home=home)) as loaded:
        yield loaded


def noise(mode: str) -> Image.Image:
    values = np.random.default_rng(len(mode)).integers(0, 256, (60, 90, 4), np.uint8)
    match mode:
        case "I;16":
            return Image.fromarray((values[..., 0] * 200.0).astype(np.uint16))
        case "I":
            return Image.fromarray(values[..., 0] * np.int32(200))
        case "F":
            return Image.fromarray((values[..., 0] / 255).astype(np.float32))
        case "P":
            image = Image.fromarray(values[..., :3]).quantize(8)
            image.info["transparency"] = 3
            return image
        case "LA":
            return Image.fromarray(values[..., 2:], "LA")
        case "LAB":
            lab = ImageCms.createProfile("LAB")
            transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
            return ImageCms.applyTransform(Image.fromarray(values[..., :3]), transform)
        case "RGBA":
            return Image.fromarray(values)
        case _:
            return Image.fromarray(values[..., :3]).convert(mode)


FILES = [
    ("RGB", "PNG", 6),
    ("RGBA", "PNG", 1),
    ("RGBA", "WEBP", 3),
    ("LA", "PNG", 8),
    ("P", "PNG", 1),
    ("1", "PNG", 2),
    ("I;16", "PNG", 1),
    ("I", "TIFF", 5),
    ("F", "TIFF", 1),
    ("LAB", "TIFF", 1),
    ("CMYK", "JPEG", 7),
]


def file_of(mode: str, form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    noise(mode).save(file, form, exif=exif)
    return file.getvalue()


QUESTION = "What is this?"


def tokens_of(model, picture):
    return model.ask(picture, QUESTION, max_tokens=MAX_TOKENS).token_ids


@pytest.mark.mostly_slow(1)
def test_opened_images_are_answered_as_their_files(model):
    files = [file_of(*one) for one in FILES]
    expected = [tokens_of(model, data) for data in files]
    images = [Image.open(io.BytesIO(data)) for data in files]
    assert [tokens_of(model, image) for image in images] == expected
    assert [tokens_of(model, image.copy()) for image in images] == expected
    many = model.describe_many([*images, *files], prompt=QUESTION, max_tokens=MAX_TOKENS)
    assert [one.token_ids for one in many] == [*expected, *expected]
    assert model.describe(images[0], prompt=QUESTION, max_tokens=MAX_TOKENS).token_ids == expected[0]
    assert len(set(expected)) > 2  # else the tokens would say nothing about the pictures


def test_a_conversation_takes_opened_images(model):
    if not model.supports_chat:
        pytest.skip("the family knows no conversations")
    data = file_of("I;16", "PNG", 6)
    first, second = (
        model.ask(
            [],
            [
                {
                    "role": "user",
                    "content": [{"type": "image", "image": one}, {"type": "text", "text": QUESTION}],
                }
            ],
            max_tokens=MAX_TOKENS,
        )
        for one in (data, Image.open(io.BytesIO(data)))
    )
    assert first.token_ids == second.token_ids == tokens_of(model, data)


def test_places_are_in_pixels_of_the_upright_picture(model):
    data = file_of("RGB", "PNG", 6)
    try:
        expected = model.point(data, "a thing", max_places=2).data
    except ArgumentError:
        pytest.skip("the family detects nothing by name")
    assert model.point(Image.open(io.BytesIO(data)), "a thing", max_places=2).data == expected
