"""Rejects texts that are far too long without tokenising all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from smallsight.errors import PromptTooLongError
from smallsight.families.messages import Message, TextPart

_SLICE_CHARS = 4096
_TOKENS_ADDED_BY_A_CUT = 16  # at most: slices have more tokens together than the whole text


def require_length(
    tokenizer: Tokenizer, messages: Iterable[Message], max_tokens: int, tools: str = ""
) -> None:
    """Raise PromptTooLongError when the texts have more than ``max_tokens`` tokens; a few more may pass."""
    texts = [tools]
    for message in messages:
        texts += [part.text for part in message.parts if isinstance(part, TextPart)]
        texts += [call.arguments for call in message.tool_calls]
    _require_length(tokenizer, texts, max_tokens, "prompt")


def require_answer_length(tokenizer: Tokenizer, answer: str, max_tokens: int) -> None:
    """Raise PromptTooLongError when a given answer has more than ``max_tokens`` tokens; see above."""
    _require_length(tokenizer, [answer], max_tokens, "answer")


def _require_length(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, what: str) -> None:
    """Count slice by slice and stop at the limit.

    Tokenising ten megabytes takes a minute and half a gigabyte of memory.
    """
    if sum(map(len, texts)) <= max(_SLICE_CHARS, max_tokens):
        return
    num_tokens = 0
    for text in texts:
        for begin in range(0, len(text), _SLICE_CHARS):
            found = tokenizer.encode(text[begin : begin + _SLICE_CHARS], add_special_tokens=False)
            num_tokens += max(0, len(found.ids) - _TOKENS_ADDED_BY_A_CUT)
            if num_tokens > max_tokens:
                raise PromptTooLongError(
                    f"The {what} has more than {max_tokens} tokens (limit {max_tokens}).",
                    hint="shorten the text.",
                )
