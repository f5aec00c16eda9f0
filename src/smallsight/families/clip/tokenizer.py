"""Converts text to CLIP's token ids, with tokenizer.json or with vocab.json and merges.txt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from smallsight.catalog.checkpoint import read_json_object
from smallsight.catalog.checkpoint_text import read_checkpoint_text
from smallsight.errors import BrokenCheckpointError
from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.dual_encoder.texts import named_token, readable
from smallsight.families.tokenizer_file import read_tokenizer

_LENGTH_STEP = 16  # each new length costs the runtime memory
_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_HIGHEST_ID = 2  # what config.json says where the text ends with the highest id; see models/clip


class ClipTokens:
    """Byte-level BPE in lower case, between a begin and an end token."""

    def __init__(self, tokenizer: Tokenizer, begin_id: int, end_id: int, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._begin_id, self._end_id = begin_id, end_id
        self._max_tokens = max_tokens
        text = tokenizer.to_str()
        self.identity = hashlib.sha256(f"{text} {begin_id} {end_id} {max_tokens}".encode()).hexdigest()

    @classmethod
    def load(cls, model_dir: Path, config: DualEncoderConfig) -> ClipTokens:
        """Read the checkpoint's tokenizer; raises BrokenCheckpointError."""
        path = model_dir / "tokenizer.json"
        tokenizer = read_tokenizer(path) if path.is_file() else _from_vocabulary(model_dir)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        begin = named_token(model_dir, "bos_token", "<|startoftext|>")
        end = named_token(model_dir, "eos_token", "<|endoftext|>")
        begin_id, end_id = tokenizer.token_to_id(begin), tokenizer.token_to_id(end)
        num_ids = tokenizer.get_vocab_size(with_added_tokens=True)
        expected = num_ids - 1 if config.end_token_id == _HIGHEST_ID else config.end_token_id
        if begin_id is None or end_id is None or end_id != expected or num_ids > config.vocabulary:
            raise BrokenCheckpointError(
                f"The tokenizer in {model_dir} ends texts with {end!r}, which is number {end_id}, expected "
                f"{expected} of {config.vocabulary}.",
                hint="config.json and the tokenizer's files must belong together.",
            )
        return cls(tokenizer, begin_id, end_id, config.text_positions)

    def encode(self, text: str) -> tuple[list[int], int]:
        """Return the ids, padded to a multiple of 16 at most, and the position of the end token.

        A token sees only earlier ones, so that the padding changes nothing.
        """
        words = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
        if self._end_id in words:  # written out in the text
            words = words[: words.index(self._end_id)]
        ids = [self._begin_id, *words[: self._max_tokens - 2], self._end_id]
        length = min(-(-len(ids) // _LENGTH_STEP) * _LENGTH_STEP, self._max_tokens)
        return ids + [self._end_id] * (length - len(ids)), len(ids) - 1


def _from_vocabulary(model_dir: Path) -> Tokenizer:
    """Assemble the tokenizer that transformers makes of vocab.json and merges.txt."""
    vocabulary: Mapping[str, int] = read_json_object(model_dir / "vocab.json")
    lines = read_checkpoint_text(model_dir / "merges.txt").splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#version")]
    merges = [(first, second) for first, _, second in pairs]
    try:
        model = BPE(
            dict(vocabulary),
            merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            unk_token="<|endoftext|>",  # noqa: S106 - a token of a text
        )
    except Exception as error:  # the library raises plain exceptions
        raise BrokenCheckpointError(f"The vocabulary in {model_dir} is invalid: {error}.") from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer
