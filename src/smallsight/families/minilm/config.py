"""The configuration of a BERT text embedder, read from the JSON files next to its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.errors import BrokenCheckpointError

MAX_TOKENS = 256
EXPECTED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)


@dataclass(frozen=True)
class MiniLMConfig:
    """Sizes of the network; texts are cut at ``max_tokens``, at most 256 and at most ``max_positions``."""

    vocabulary_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int
    num_token_types: int
    norm_epsilon: float
    max_tokens: int


def read_config(model_dir: Path) -> MiniLMConfig:
    """Read config.json and, if present, the files that sentence-transformers adds.

    Raises BrokenCheckpointError for missing or damaged files and for other architectures.
    """
    described = read_json(model_dir / "config.json")
    described.setdefault("position_embedding_type", "absolute")
    for name, expected in EXPECTED.items():
        if described.get(name) != expected:
            raise BrokenCheckpointError(
                f"{model_dir / 'config.json'} has {name} {described.get(name)!r}, expected {expected!r}.",
                hint="use a BERT encoder such as all-MiniLM-L6-v2 as text embedder.",
            )
    sizes = {name: _size(described, name, model_dir) for name in SIZES}
    if sizes["hidden_size"] % sizes["num_attention_heads"]:
        raise BrokenCheckpointError(
            f"hidden_size {sizes['hidden_size']} in {model_dir / 'config.json'} is not a multiple of "
            f"{sizes['num_attention_heads']} heads."
        )
    _require_mean_pooling(model_dir / "1_Pooling" / "config.json")
    return MiniLMConfig(
        vocabulary_size=sizes["vocab_size"],
        hidden_size=sizes["hidden_size"],
        num_layers=sizes["num_hidden_layers"],
        num_heads=sizes["num_attention_heads"],
        intermediate_size=sizes["intermediate_size"],
        max_positions=sizes["max_position_embeddings"],
        num_token_types=sizes["type_vocab_size"],
        norm_epsilon=_epsilon(described, model_dir),
        max_tokens=_max_tokens(model_dir / "sentence_bert_config.json", sizes["max_position_embeddings"]),
    )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; raises BrokenCheckpointError."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BrokenCheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BrokenCheckpointError(f"{path} is not valid JSON: {error}.", hint="fetch it again.") from error
    if not isinstance(content, dict):
        raise BrokenCheckpointError(f"{path} holds a {type(content).__name__}, expected an object.")
    return content


def _size(described: dict[str, Any], name: str, model_dir: Path) -> int:
    value = described.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BrokenCheckpointError(
            f"{model_dir / 'config.json'} has {name} {value!r}, expected an integer above 0."
        )
    return value


def _epsilon(described: dict[str, Any], model_dir: Path) -> float:
    value = described.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float) or not 0 < value < 1:
        raise BrokenCheckpointError(
            f"{model_dir / 'config.json'} has layer_norm_eps {value!r}, expected a number between 0 and 1."
        )
    return value


def _require_mean_pooling(path: Path) -> None:
    if not path.exists():
        return
    modes = {
        name for name, used in read_json(path).items() if name.startswith("pooling_mode_") and used is True
    }
    if modes != {"pooling_mode_mean_tokens"}:
        raise BrokenCheckpointError(
            f"{path} has {', '.join(sorted(modes)) or 'no pooling'}, expected pooling_mode_mean_tokens."
        )


def _max_tokens(path: Path, max_positions: int) -> int:
    stated = read_json(path).get("max_seq_length") if path.exists() else None
    wanted = stated if isinstance(stated, int) and stated > 2 else MAX_TOKENS
    return min(wanted, MAX_TOKENS, max_positions)
