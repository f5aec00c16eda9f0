"""Rejects texts that are far too long without tokenising all of them."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer

from smallsight.errors import PromptTooLongError
from smallsight.families.messages import Message, TextPart

_SLICE_CHARS = 4096
_TOKENS_ADDED_BY_A_CUT = 16  # at most: slices have more tokens together than the whole text


def require_length(tokenizer: Tokenizer, messages: Iterable[Message], max_tokens: int) -> None:
    """Raise PromptTooLongError when the texts have more than ``max_tokens`` tokens; slightly more may pass.

    Tokenising ten megabytes takes a minute and half a gigabyte of memory. This counts slice by slice and
    stops at the limit.
    """
    texts = [part.text for message in messages for part in message.parts if isinstance(part, TextPart)]
    if sum(map(len, texts)) <= max(_SLICE_CHARS, max_tokens):
        return
    num_tokens = 0
    for text in texts:
        for begin in range(0, len(text), _SLICE_CHARS):
            found = tokenizer.encode(text[begin : begin + _SLICE_CHARS], add_special_tokens=False)
            num_tokens += max(0, len(found.ids) - _TOKENS_ADDED_BY_A_CUT)
            if num_tokens > max_tokens:
                raise PromptTooLongError(
                    f"The prompt has more than {max_tokens} tokens (limit {max_tokens}).",
                    hint="shorten the text.",
                )
