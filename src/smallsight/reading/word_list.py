"""Reads the words that a text model knows whole: a list of words that are spelt right."""

from __future__ import annotations

import json
from pathlib import Path


def read_whole_words(model_dir: Path) -> frozenset[str]:
    """Return the whole words in the vocabulary of a text model in Hugging Face layout.

    Files that cannot be read have none: loading the model reports what is wrong with them.
    """
    try:
        vocabulary = json.loads((model_dir / "tokenizer.json").read_bytes())["model"]["vocab"]
        return frozenset(piece for piece in vocabulary if len(piece) > 1 and piece.isalpha())
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
