"""What valid text is: Unicode without half of a surrogate pair.

Half pairs come from JSON escapes and from names and arguments that are not UTF-8. No tokenizer, database or
other server accepts them.
"""

from __future__ import annotations


def is_valid_text(text: str) -> bool:
    """Return whether the text has a UTF-8 form."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
