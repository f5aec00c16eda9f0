"""What a family's tokenizer returns for a text, and the reading of the names of its control tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from smallsight.catalog.checkpoint import read_json_object

MAX_CHARS = 4_096  # more than any text of a few dozen tokens has


class TextTokens(Protocol):
    """Converts texts to the token ids that the text encoder gets; any string is allowed."""

    @property
    def identity(self) -> str:
        """Everything that affects the ids."""
        ...

    def encode(self, text: str) -> tuple[list[int], int]:
        """Return the ids, padded, and the position whose vector stands for the text."""
        ...


def named_token(model_dir: Path, name: str, default: str) -> str:
    """Return the token that tokenizer_config.json calls "eos_token" or the like."""
    path = model_dir / "tokenizer_config.json"
    found = read_json_object(path).get(name) if path.is_file() else None
    if isinstance(found, dict):
        found = found.get("content")
    return found if isinstance(found, str) and found else default


def readable(text: str) -> str:
    """Return the first 4,096 characters, with unpaired surrogates replaced, which have no UTF-8 form."""
    return text[:MAX_CHARS].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
