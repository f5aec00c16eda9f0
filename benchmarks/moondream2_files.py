"""The small files of a random moondream2 checkpoint in its true shape; its config.json says nothing, as
published.
"""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

END, END_TOKEN, FIRST_LETTER = "<|endoftext|>", 50256, 1000


def files() -> dict[str, dict[str, object]]:
    """Return their names and what is in them."""
    return {"config.json": {"architectures": ["HfMoondream"], "model_type": "moondream1", "config": {}}}


def tokenizer() -> Tokenizer:
    """Return bytes as tokens, and the end token where the real vocabulary has it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: FIRST_LETTER + number for number, letter in enumerate(letters)}
    made = Tokenizer(models.BPE(vocab=vocabulary | {END: END_TOKEN}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return made
