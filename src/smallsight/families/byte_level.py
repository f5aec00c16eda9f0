"""Converts tokens of byte-level vocabularies to bytes, including incomplete characters.

Such a vocabulary represents every byte as a visible character: printable Latin-1 as itself, the others by
the characters from U+0100 on, in order.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenizers import Tokenizer

_FIRST_STAND_IN = 0x100


def _bytes_by_character() -> Mapping[str, int]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(0x100) if byte not in printable)
    table.update({chr(_FIRST_STAND_IN + index): byte for index, byte in enumerate(others)})
    return table


_BYTES = _bytes_by_character()


def token_bytes(tokenizer: Tokenizer, token_id: int) -> bytes:
    """Return the bytes that a token adds to the text: none for control tokens and vocabulary padding."""
    written = tokenizer.id_to_token(token_id)
    if written is None or not tokenizer.decode([token_id], skip_special_tokens=True):
        return b""
    try:
        return bytes(_BYTES[character] for character in written)
    except KeyError:  # an added token, which is not byte-level
        return str(written).encode()
