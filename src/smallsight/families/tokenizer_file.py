"""Reads a checkpoint's tokenizer.json."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from smallsight.catalog.checkpoint_text import read_checkpoint_text
from smallsight.errors import BrokenCheckpointError


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer; raises BrokenCheckpointError."""
    try:
        return Tokenizer.from_str(read_checkpoint_text(path))
    except BrokenCheckpointError:
        raise
    except FileNotFoundError as error:
        raise BrokenCheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except Exception as error:  # the library raises plain exceptions
        raise BrokenCheckpointError(f"{path} is not a tokenizer: {error}.", hint="fetch it again.") from error
