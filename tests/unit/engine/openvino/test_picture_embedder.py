"""The picture embedder itself; what its vectors should be is in tests/parity/test_picture_embeddings.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smallsight.engine.embedding import load_picture_embedder
from smallsight.errors import BrokenCheckpointError, ModelClosedError, ModelNotRunnableError
from tiny_dual_encoder import draw_odd_pictures, write_tiny_clip, write_tiny_siglip

TEXTS = ["cat", "a photo of two cats", "", "owl dog " * 12]


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_siglip(tmp_path_factory.mktemp("siglip"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("write", [write_tiny_siglip, write_tiny_clip])
def test_a_vector_does_not_depend_on_what_is_embedded_with_it(tmp_path: Path, write, precision: str):
    embedder = load_picture_embedder(write(tmp_path), precision, threads=1)
    pictures = draw_odd_pictures(9)
    together = embedder.embed_pictures(pictures), embedder.embed_texts(TEXTS)
    alone = [embedder.embed_pictures([one]) for one in reversed(pictures)][::-1]
    assert np.array_equal(together[0], np.concatenate(alone))
    assert np.array_equal(together[1], np.concatenate([embedder.embed_texts([one]) for one in TEXTS]))
    assert embedder.embed_pictures([]).shape == (0, 32)


@pytest.mark.parametrize("write", [write_tiny_siglip, write_tiny_clip])
def test_pictures_that_are_embedded_at_once_have_the_bits_of_one_after_another(tmp_path: Path, write):
    one_by_one = load_picture_embedder(write(tmp_path), "int8", threads=1)
    at_once = load_picture_embedder(tmp_path, "int8", threads=3)
    assert (one_by_one.num_at_once, at_once.num_at_once) == (1, 3)
    pictures = draw_odd_pictures(17)
    assert np.array_equal(at_once.embed_pictures(pictures), one_by_one.embed_pictures(pictures))


@pytest.mark.parametrize("write", [write_tiny_siglip, write_tiny_clip])
def test_pixels_have_the_vector_of_their_image(tmp_path: Path, write):
    embedder = load_picture_embedder(write(tmp_path), threads=1)
    images = [one for one in draw_odd_pictures(60) if one.mode == "RGB" and not one.info]
    assert len({one.size for one in images}) > 3
    pixels = [np.asarray(one) for one in images]
    assert np.array_equal(embedder.embed_pictures(pixels), embedder.embed_pictures(images))


def test_stored_weights_give_the_same_vectors_and_only_the_needed_network_is_stored(
    siglip: Path, tmp_path: Path
):
    pictures = draw_odd_pictures(3)
    first = load_picture_embedder(siglip, threads=1, prepared_dir=tmp_path)
    vectors = first.embed_pictures(pictures)
    assert len(list(tmp_path.glob("*.weights"))) == 1
    second = load_picture_embedder(siglip, threads=1, prepared_dir=tmp_path)
    assert np.array_equal(second.embed_pictures(pictures), vectors)
    assert second.key == first.key
    second.embed_texts(["cat"])
    assert len(list(tmp_path.glob("*.weights"))) == 2


def test_the_key_names_everything_that_decides_vectors(siglip: Path, tmp_path: Path):
    key = load_picture_embedder(siglip).key
    assert key.startswith("siglip-int8-")
    assert len(key) <= 64
    others = {
        load_picture_embedder(siglip, "fp32").key,
        load_picture_embedder(write_tiny_siglip(tmp_path, seed=5)).key,
    }
    settings = tmp_path / "preprocessor_config.json"
    changed = json.loads(settings.read_text("utf-8")) | {"resample": 2}
    settings.write_text(json.dumps(changed), "utf-8")
    others.add(load_picture_embedder(tmp_path).key)
    assert len(others | {key}) == 4


def test_a_closed_embedder_says_so(siglip: Path):
    embedder = load_picture_embedder(siglip)
    embedder.embed_texts(["cat"])
    assert embedder.weights_bytes > 0
    embedder.close()
    with pytest.raises(ModelClosedError):
        embedder.embed_texts(["cat"])
    assert embedder.weights_bytes == 0


@pytest.mark.parametrize(
    ("file", "change", "error"),
    [
        ("config.json", {"model_type": "siglip2"}, ModelNotRunnableError),
        ("config.json", {"vision_config": {"num_attention_heads": 5}}, BrokenCheckpointError),
        ("config.json", {"vision_config": {"vision_use_head": False}}, ModelNotRunnableError),
        ("preprocessor_config.json", {"size": {"height": 64, "width": 64}}, BrokenCheckpointError),
        ("preprocessor_config.json", {"do_normalize": False}, ModelNotRunnableError),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_a_typed_error(
    tmp_path: Path, file: str, change: dict, error: type
):
    path = write_tiny_siglip(tmp_path) / file
    described = json.loads(path.read_text("utf-8"))
    for name, value in change.items():
        described[name] = described[name] | value if isinstance(described.get(name), dict) else value
    path.write_text(json.dumps(described), "utf-8")
    with pytest.raises(error):
        load_picture_embedder(tmp_path)
