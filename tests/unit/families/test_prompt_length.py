from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from smallsight.errors import PromptTooLongError
from smallsight.families.messages import Message, TextPart
from smallsight.families.prompt_length import require_length
from tiny_smolvlm import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    file: Path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    make_tokenizer().save(str(file))
    return Tokenizer.from_file(str(file))


class Counting:
    """A tokenizer that counts what it was given to read."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.num_chars = 0
        self._tokenizer = tokenizer

    def encode(self, text: str, *, add_special_tokens: bool) -> object:
        self.num_chars += len(text)
        return self._tokenizer.encode(text, add_special_tokens=add_special_tokens)


def said(*texts: str) -> list[Message]:
    return [Message("user", tuple(TextPart(text) for text in texts))]


@pytest.mark.parametrize("unit", ["word ", "a", " ", "\n", "<image>", "\u2028", "é\U0001f600"])
def test_what_fits_is_never_refused(tokenizer: Tokenizer, unit: str):
    for length in (10, 5000, 20_000):
        text = unit * (length // len(unit))
        num_tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
        require_length(tokenizer, said(text), num_tokens)
        require_length(tokenizer, said(text[: length // 2], text[length // 2 :]), num_tokens + 8)


@pytest.mark.parametrize("unit", ["word ", "a", "<image>"])
def test_of_megabytes_only_the_beginning_is_read(tokenizer: Tokenizer, unit: str):
    messages = said("hello", unit * (10_000_000 // len(unit)))
    counting = Counting(tokenizer)
    with pytest.raises(PromptTooLongError, match="more than 8192 tokens"):
        require_length(counting, messages, 8192)
    assert counting.num_chars < 200_000, "it read far more than it had to"
