"""Tokenizes texts for Smallsight-tiny-looks: whole words, of which it knows a few hundred."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tokenizers import Tokenizer

from smallsight.errors import BrokenCheckpointError
from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.dual_encoder.texts import readable
from smallsight.families.tokenizer_file import read_tokenizer

PADDING, END = "<pad>", "<end>"


class DrawingsTokens:
    """Words in lower case with padding before them and an end token after them.

    All words that it does not know have one token, and it was trained that this fits no drawing.
    """

    def __init__(self, tokenizer: Tokenizer, ids: tuple[int, int], length: int) -> None:
        """``ids`` are those of padding and of the end."""
        self._tokenizer = tokenizer
        self._padding_id, self._end_id = ids
        self._length = length
        self.identity = hashlib.sha256(f"{tokenizer.to_str()} {ids} {length}".encode()).hexdigest()

    @classmethod
    def load(cls, model_dir: Path, config: DualEncoderConfig) -> DrawingsTokens:
        """Read tokenizer.json; raises BrokenCheckpointError."""
        path = model_dir / "tokenizer.json"
        tokenizer = read_tokenizer(path)
        padding_id, end_id = tokenizer.token_to_id(PADDING), tokenizer.token_to_id(END)
        if padding_id is None or end_id is None or tokenizer.get_vocab_size() != config.vocabulary:
            raise BrokenCheckpointError(
                f"{path} lacks {PADDING} or {END}, or has other than {config.vocabulary} tokens.",
                hint="config.json and tokenizer.json must belong together.",
            )
        return cls(tokenizer, (padding_id, end_id), config.text_positions)

    def encode(self, text: str) -> tuple[list[int], int]:
        """Return as many ids as the network has positions, and the last position."""
        words = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
        ids = [*words[: self._length - 1], self._end_id]
        return [self._padding_id] * (self._length - len(ids)) + ids, self._length - 1
