"""Converts text to SigLIP's token ids: pieces of words by a unigram model, or Gemma's for SigLIP 2.

Source: transformers 5.x, models/siglip/tokenization_siglip and models/siglip2/tokenization_siglip2.
"""

from __future__ import annotations

import hashlib
import re
import string
from pathlib import Path

from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE, Unigram

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError
from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.dual_encoder.texts import named_token, readable
from smallsight.families.siglip.sentencepiece import read_sentencepiece
from smallsight.families.tokenizer_file import read_tokenizer

_SENTENCEPIECE = "spiece.model"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class SigLIPTokens:
    """Texts in lower case, ended by an end token and padded to the network's length.

    Those of the first generation have no punctuation. What looks like a control token in a text is text.
    """

    def __init__(
        self, tokenizer: Tokenizer, end_id: int, padding_id: int, length: int, *, pads_left: bool
    ) -> None:
        self._tokenizer = tokenizer
        self._end_id, self._padding_id = end_id, padding_id
        self._length = length
        self._pads_left = pads_left
        self._is_plain = isinstance(tokenizer.model, Unigram)
        facts = f"{tokenizer.to_str()} {end_id} {padding_id} {length} {pads_left}"
        self.identity = hashlib.sha256(facts.encode()).hexdigest()

    @classmethod
    def load(cls, model_dir: Path, config: DualEncoderConfig) -> SigLIPTokens:
        """Read the checkpoint's tokenizer; raises BrokenCheckpointError."""
        tokenizer = _read(model_dir)
        is_unigram = isinstance(tokenizer.model, Unigram)
        end = named_token(model_dir, "eos_token", "</s>" if is_unigram else "<eos>")
        padding = named_token(model_dir, "pad_token", "</s>" if is_unigram else "<pad>")
        end_id, padding_id = tokenizer.token_to_id(end), tokenizer.token_to_id(padding)
        num_ids = tokenizer.get_vocab_size(with_added_tokens=True)
        if end_id is None or padding_id is None or num_ids > config.vocabulary:
            raise BrokenCheckpointError(
                f"The tokenizer in {model_dir} lacks {end!r} or {padding!r}, or has more than the network's "
                f"{config.vocabulary} tokens.",
                hint="config.json and the tokenizer's files must belong together.",
            )
        side = named_token(model_dir, "padding_side", "right")
        return cls(tokenizer, end_id, padding_id, config.text_positions, pads_left=side == "left")

    def encode(self, text: str) -> tuple[list[int], int]:
        """Return as many ids as the network has positions, and the last position."""
        shown = readable(text).lower()
        if self._is_plain:
            shown = re.sub(r"\s+", " ", shown.replace("▁", " ").translate(_NO_PUNCTUATION)).strip()
        words = self._tokenizer.encode(shown, add_special_tokens=False).ids if shown else []
        ids = [*words[: self._length - 1], self._end_id]
        padding = [self._padding_id] * (self._length - len(ids))
        return (padding + ids if self._pads_left else ids + padding), self._length - 1


def _read(model_dir: Path) -> Tokenizer:
    path = model_dir / "tokenizer.json"
    if not path.is_file() and (model_dir / _SENTENCEPIECE).is_file():
        return read_sentencepiece(model_dir / _SENTENCEPIECE)
    tokenizer = read_tokenizer(path)
    if not isinstance(tokenizer.model, Unigram | BPE):
        kind = read_json_object(path).get("model", {}).get("type")
        raise BrokenCheckpointError(f"{path} has a model of type {kind!r}, expected Unigram or BPE.")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if isinstance(tokenizer.model, BPE) and tokenizer.normalizer is not None:
        # As the network was trained; the published file lacks it.
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), tokenizer.normalizer])
    return tokenizer
