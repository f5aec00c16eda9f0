"""Converts text to token ids with BERT's WordPiece, configured from tokenizer.json.

The parts are assembled here instead of loading the file as a whole, so that a damaged file raises a typed
error and the file's padding and truncation settings are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MiniLMConfig, read_json

BEGIN, END, PADDING = "[CLS]", "[SEP]", "[PAD]"
EXPECTED_PARTS = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}
MAX_CHARS = 65_536


class MiniLMTokenizer:
    """Converts texts to token ids; any string is allowed."""

    def __init__(self, tokenizer: Tokenizer, padding_id: int) -> None:
        self._tokenizer = tokenizer
        self.padding_id = padding_id

    @classmethod
    def load(cls, model_dir: Path, config: MiniLMConfig) -> MiniLMTokenizer:
        """Read tokenizer.json; raises BrokenCheckpointError that names the unsupported part."""
        path = model_dir / "tokenizer.json"
        described = read_json(path)
        for part, expected in EXPECTED_PARTS.items():
            found = described.get(part)
            kind = found.get("type") if isinstance(found, dict) else None
            if kind != expected:
                raise BrokenCheckpointError(f"{path} has {part} {kind!r}, expected {expected!r}.")
        vocabulary = _vocabulary(described["model"], config, path)
        tokenizer = _assemble(described, vocabulary)
        tokenizer.enable_truncation(config.max_tokens)
        return cls(tokenizer, vocabulary[PADDING])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text between begin and end tokens, cut at the configuration's max_tokens.

        Only the first 65,536 characters of a text are used. Texts are encoded one by one, because the batch
        call would start threads that a later fork of this process could not use.
        """
        return [self._tokenizer.encode(_readable(text[:MAX_CHARS])).ids for text in texts]

    def measure(self, texts: Sequence[str]) -> list[tuple[int, bool]]:
        """Return the number of ids that ``encode`` returns for each text, and whether it cuts the text."""
        encoded = [self._tokenizer.encode(_readable(text[:MAX_CHARS])) for text in texts]
        return [(len(one.ids), bool(one.overflowing)) for one in encoded]


def _readable(text: str) -> str:
    """Replace unpaired surrogates, which have no UTF-8 form."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _vocabulary(model: dict[str, Any], config: MiniLMConfig, path: Path) -> dict[str, int]:
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not all(_is_id(value, config) for value in vocabulary.values()):
        raise BrokenCheckpointError(
            f"{path} has no vocabulary of ids from 0 to {config.vocabulary_size - 1}.",
            hint="config.json and tokenizer.json must belong together.",
        )
    for needed in (BEGIN, END, PADDING, model.get("unk_token")):
        if needed not in vocabulary:
            raise BrokenCheckpointError(f"The vocabulary in {path} lacks {needed!r}.")
    return vocabulary


def _is_id(value: object, config: MiniLMConfig) -> bool:
    return isinstance(value, int) and 0 <= value < config.vocabulary_size


def _assemble(described: dict[str, Any], vocabulary: dict[str, int]) -> Tokenizer:
    model, rules = described["model"], described["normalizer"]
    tokenizer = Tokenizer(
        WordPiece(
            vocabulary,
            unk_token=model["unk_token"],
            max_input_chars_per_word=model.get("max_input_chars_per_word", 100),
            continuing_subword_prefix=model.get("continuing_subword_prefix", "##"),
        )
    )
    tokenizer.normalizer = BertNormalizer(
        clean_text=rules.get("clean_text", True),
        handle_chinese_chars=rules.get("handle_chinese_chars", True),
        strip_accents=rules.get("strip_accents"),
        lowercase=rules.get("lowercase", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing((END, vocabulary[END]), (BEGIN, vocabulary[BEGIN]))
    special = [token["content"] for token in described.get("added_tokens", []) if token.get("special")]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special if name in vocabulary])
    return tokenizer
