"""Whether a text is far too long, found out without reading all of it."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer

from smallsight.errors import PromptTooLongError
from smallsight.families.messages import Message, TextPart

_SLICE_CHARS = 4096
_LOST_AT_A_CUT = 16  # tokens that a text may have less than its slices together, at each of them


def require_length(tokenizer: Tokenizer, messages: Iterable[Message], max_tokens: int) -> None:
    """Raise PromptTooLongError when the texts have more tokens than this; a little more may pass.

    A tokeniser takes a minute and half a gigabyte for ten megabytes. This counts slice by slice, and stops.
    """
    texts = [part.text for message in messages for part in message.parts if isinstance(part, TextPart)]
    if sum(map(len, texts)) <= max(_SLICE_CHARS, max_tokens):
        return
    num_tokens = 0
    for text in texts:
        for begin in range(0, len(text), _SLICE_CHARS):
            found = tokenizer.encode(text[begin : begin + _SLICE_CHARS], add_special_tokens=False)
            num_tokens += max(0, len(found.ids) - _LOST_AT_A_CUT)
            if num_tokens > max_tokens:
                raise PromptTooLongError(
                    f"The prompt has more than {max_tokens} tokens (limit {max_tokens}).",
                    hint="shorten the text.",
                )
