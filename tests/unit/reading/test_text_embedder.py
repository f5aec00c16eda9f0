from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from smallsight.errors import ArgumentError, BrokenCheckpointError, ModelClosedError
from smallsight.reading.text_embedder import TextEmbedder
from tiny_bert import Shape, change_tensors, write_config, write_tiny_bert

TEXTS = ["the cat", "", "meme " * 60, "A dog sat on the mat!", "猫", "\ud800", "error", "😀 . .", "the cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Iterator[TextEmbedder]:
    with TextEmbedder.load(folder, precision="fp32") as loaded:
        yield loaded


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("budget_tokens", [1, 32, 1024])
def test_a_batch_equals_its_members_in_their_order(folder: Path, precision: str, budget_tokens: int):
    with TextEmbedder.load(folder, precision=precision, budget_tokens=budget_tokens) as embedder:
        together = embedder.embed(TEXTS)
        alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert np.abs(alone[0] - alone[3]).max() > 0.01, "the texts must differ for their order to show"
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_rows_have_length_one(embedder: TextEmbedder):
    vectors = embedder.embed(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), 32))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(embedder: TextEmbedder):
    assert embedder.embed([]).shape == (0, embedder.dimensions) == (0, 32)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=4))
def test_any_string_gives_a_finite_vector(embedder: TextEmbedder, texts: list[str]):
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), 32)
    assert np.isfinite(vectors).all()


def test_threads_take_turns(embedder: TextEmbedder):
    expected = embedder.embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(embedder.embed, [TEXTS] * 20):
            np.testing.assert_array_equal(got, expected)


def test_after_close_there_is_a_typed_error(folder: Path):
    embedder = TextEmbedder.load(folder)
    embedder.close()
    embedder.close()
    with pytest.raises(ModelClosedError, match="has been closed"):
        embedder.embed(["a"])


def test_the_key_names_weights_precision_and_cut(folder: Path, tmp_path: Path):
    other = write_tiny_bert(tmp_path / "other", seed=1)
    shorter = write_tiny_bert(tmp_path / "shorter")
    (shorter / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    copy = write_tiny_bert(tmp_path / "copy")
    key = TextEmbedder.load(folder).key
    assert TextEmbedder.load(copy).key == key
    keys = {
        key,
        TextEmbedder.load(folder, precision="fp32").key,
        TextEmbedder.load(other).key,
        TextEmbedder.load(shorter).key,
    }
    assert len(keys) == 4
    assert all(len(key) < 40 and key.isascii() for key in keys)


def test_the_built_network_is_kept_and_gives_the_same(folder: Path, tmp_path: Path):
    for precision in ("fp32", "int8"):
        with TextEmbedder.load(folder, precision=precision, prepared_dir=tmp_path) as first:
            expected, was_kept = first.embed(TEXTS), first.from_cache
        with TextEmbedder.load(folder, precision=precision, prepared_dir=tmp_path) as second:
            np.testing.assert_allclose(second.embed(TEXTS), expected, atol=1e-6)
            assert (was_kept, second.from_cache) == (False, True)


def test_other_weights_or_another_layout_never_meet_a_kept_network(tmp_path: Path):
    folder, prepared_dir = write_tiny_bert(tmp_path / "bert"), tmp_path / "graphs"
    before = TextEmbedder.load(folder, prepared_dir=prepared_dir).embed(["the cat"])
    write_tiny_bert(folder, seed=1)
    changed = TextEmbedder.load(folder, prepared_dir=prepared_dir)
    assert not changed.from_cache
    assert np.abs(changed.embed(["the cat"]) - before).max() > 0.01
    write_config(folder, Shape(heads=2))
    assert not TextEmbedder.load(folder, prepared_dir=prepared_dir).from_cache


def test_a_damaged_kept_network_is_built_again(folder: Path, tmp_path: Path):
    expected = TextEmbedder.load(folder, prepared_dir=tmp_path).embed(TEXTS)
    (kept,) = tmp_path.glob("*.network")
    kept.write_bytes(kept.read_bytes()[:-500])
    with capture_logs() as logs:
        again = TextEmbedder.load(folder, prepared_dir=tmp_path)
    assert "remembered_network_damaged" in [entry["event"] for entry in logs]
    assert not again.from_cache
    np.testing.assert_array_equal(again.embed(TEXTS), expected)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_or_cut_file_is_a_typed_error_that_names_it(tmp_path: Path, name: str):
    folder = write_tiny_bert(tmp_path)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenCheckpointError, match=name):
        TextEmbedder.load(folder)
    path.unlink()
    with pytest.raises(BrokenCheckpointError, match=name):
        TextEmbedder.load(folder)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path):
    folder = write_tiny_bert(tmp_path)
    change_tensors(folder, {"embeddings.LayerNorm.bias": np.full(32, np.nan, np.float32)})
    with pytest.raises(BrokenCheckpointError, match=r"embeddings\.LayerNorm\.bias"):
        TextEmbedder.load(folder)


def test_an_unknown_precision_is_a_typed_error(folder: Path):
    with pytest.raises(ArgumentError, match="precision cannot be 'int3'"):
        TextEmbedder.load(folder, precision="int3")
