import pytest

from smallsight.families.byte_level import token_bytes
from tiny_smolvlm import SPECIAL_TOKENS, make_tokenizer

TOKENIZER = make_tokenizer()


@pytest.mark.parametrize("text", ["hello there", "Größe 猫 🐈", "\n\t\x00\x7f\xad", "a" * 50])
def test_the_bytes_of_tokens_are_the_bytes_of_the_text(text):
    token_ids = TOKENIZER.encode(text).ids
    assert b"".join(token_bytes(TOKENIZER, one) for one in token_ids) == text.encode()


def test_control_tokens_and_padding_add_nothing():
    for name in SPECIAL_TOKENS:
        assert token_bytes(TOKENIZER, TOKENIZER.token_to_id(name)) == b""
    assert token_bytes(TOKENIZER, 10**6) == b""
