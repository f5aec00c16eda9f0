"""The key of the text model's vectors is known before the model is loaded, and is the same afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smallsight.errors import BrokenCheckpointError
from smallsight.reading.embedder_on_demand import EmbedderOnDemand
from smallsight.reading.text_embedder import TextEmbedder
from tiny_bert import write_tiny_bert


def test_the_model_is_loaded_for_the_first_text_and_once(tmp_path: Path):
    write_tiny_bert(tmp_path)
    loaded: list[TextEmbedder] = []

    def load() -> TextEmbedder:
        loaded.append(TextEmbedder.load(tmp_path, precision="int8"))
        return loaded[-1]

    embedder = EmbedderOnDemand.of(tmp_path, precision="int8", prepared_dir=None, load=load)
    assert not loaded
    vectors = embedder.embed(["a", "b"])
    assert np.array_equal(vectors, embedder.embed(["a", "b"]))
    assert [one.key for one in loaded] == [embedder.key]


def test_a_broken_model_is_told_before_anything_is_embedded(tmp_path: Path):
    with pytest.raises(BrokenCheckpointError):
        EmbedderOnDemand.of(tmp_path, precision="int8", prepared_dir=None, load=lambda: pytest.fail("loaded"))
