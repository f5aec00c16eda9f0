"""What identifies the vectors of a text embedder: those of one key can be compared with each other."""

from __future__ import annotations

import hashlib

from smallsight.families.minilm.config import MiniLMConfig

BUILDER_VERSION = 1  # increment when the same weights would give other vectors


def vectors_identity(weights_sha256: str, precision: str, config: MiniLMConfig) -> str:
    """Return everything that affects the vectors of texts."""
    return f"minilm {weights_sha256} {precision} {config.max_tokens} {BUILDER_VERSION}"


def vectors_key(identity: str, precision: str) -> str:
    """Return the key under which the library stores the vectors."""
    return f"minilm-{precision}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
