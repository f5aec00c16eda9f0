from __future__ import annotations

import time
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
def test_megabytes_are_refused_at_once(tokenizer: Tokenizer, unit: str):
    messages = said("hello", unit * (10_000_000 // len(unit)))
    began_s = time.process_time()
    with pytest.raises(PromptTooLongError, match="more than 8192 tokens"):
        require_length(tokenizer, messages, 8192)
    assert time.process_time() - began_s < 5, "it read all of it"
