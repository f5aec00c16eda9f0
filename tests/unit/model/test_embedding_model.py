"""The public picture embedding model: one process decodes files, and stays until the model is closed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import smallsight
from smallsight.errors import ModelClosedError, PictureError
from smallsight.settings import Settings
from tiny_dual_encoder import draw_odd_pictures, write_tiny_siglip


@pytest.fixture
def model(tmp_path: Path):
    settings = Settings(home=tmp_path / "home")
    loaded = smallsight.load_embedding_model(write_tiny_siglip(tmp_path / "model"), settings=settings)
    with loaded:
        yield loaded


def decoding_processes() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children()
        if "smallsight.media.decode_child" in " ".join(child.cmdline())
    }


def as_files(pictures) -> list[bytes]:
    files = []
    for picture in pictures:
        file = io.BytesIO()
        picture.convert("RGB").save(file, "PNG")
        files.append(file.getvalue())
    return files


def test_one_process_decodes_the_pictures_of_all_calls_and_ends_with_the_model(model):
    before, files = decoding_processes(), as_files(draw_odd_pictures(5))
    first = model.embed_pictures(files)
    started = decoding_processes() - before
    assert len(started) == 1
    np.testing.assert_array_equal(model.embed_pictures(files[::-1])[::-1], first)
    assert decoding_processes() - before == started
    model.close()
    assert not decoding_processes() & started


def test_after_a_damaged_picture_the_next_ones_are_embedded(model):
    files = as_files(draw_odd_pictures(6))
    with pytest.raises(PictureError):
        model.embed_pictures([files[0], files[1][:60], *files[2:]])
    images = [Image.open(io.BytesIO(one)) for one in files]
    np.testing.assert_array_equal(model.embed_pictures(files), model.embed_pictures(images))


def test_a_closed_model_says_so_and_may_be_closed_again(model):
    model.close()
    model.close()
    with pytest.raises(ModelClosedError):
        model.embed_pictures(as_files(draw_odd_pictures(1)))
    assert model.embed_pictures([]).shape == (0, model.dimensions)
