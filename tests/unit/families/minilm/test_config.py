from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MAX_TOKENS, read_config
from tiny_bert import Shape, write_config


def test_sizes_are_read(tmp_path: Path):
    write_config(tmp_path, Shape(hidden=48, heads=3, layers=5, wide=96, positions=512))
    config = read_config(tmp_path)
    assert (config.hidden_size, config.num_heads, config.num_layers) == (48, 3, 5)
    assert (config.intermediate_size, config.max_positions, config.norm_epsilon) == (96, 512, 1e-12)
    assert config.max_tokens == MAX_TOKENS == 256


def test_texts_are_cut_at_the_position_table_and_at_what_the_checkpoint_states(tmp_path: Path):
    write_config(tmp_path, Shape(positions=40))
    assert read_config(tmp_path).max_tokens == 40
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 30}')
    assert read_config(tmp_path).max_tokens == 30
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 5000}')
    assert read_config(tmp_path).max_tokens == 40


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "roberta"}, "model_type 'roberta', expected 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"hidden_size": 0}, "hidden_size 0"),
        ({"num_hidden_layers": "6"}, "num_hidden_layers '6'"),
        ({"vocab_size": True}, "vocab_size True"),
        ({"num_attention_heads": 5}, "is not a multiple of 5 heads"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps -1.0"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps 'small'"),
    ],
)
def test_other_architectures_and_impossible_sizes_are_refused(
    tmp_path: Path, changes: dict[str, object], sentence: str
):
    write_config(tmp_path, **changes)
    with pytest.raises(BrokenCheckpointError, match=sentence):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_damaged_file_is_a_typed_error(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BrokenCheckpointError, match=r"config\.json"):
        read_config(tmp_path)


def test_a_missing_file_is_a_typed_error(tmp_path: Path):
    with pytest.raises(BrokenCheckpointError, match=r"config\.json cannot be read: No such file"):
        read_config(tmp_path)


def test_only_mean_pooling_is_known(tmp_path: Path):
    write_config(tmp_path)
    pooling = tmp_path / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    mean = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    pooling.write_text(json.dumps(mean))
    assert read_config(tmp_path).hidden_size == 32
    pooling.write_text(json.dumps(mean | {"pooling_mode_cls_token": True}))
    with pytest.raises(BrokenCheckpointError, match="pooling_mode_cls_token"):
        read_config(tmp_path)
