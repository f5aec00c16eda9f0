"""The small files of a random moondream2 checkpoint; in the true shape its config.json says nothing, as
published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

END, END_TOKEN, FIRST_LETTER = "<|endoftext|>", 50256, 1000
TEXT_HEAD, VISION_HEAD, TRUE_HIDDEN = 64, 72, 2048


def files(sizes: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Return their names and what is in them."""
    config: dict[str, object] = {"architectures": ["HfMoondream"], "model_type": "moondream1"}
    is_true = sizes["text_hidden"] == TRUE_HIDDEN
    return {"config.json": {**config, "config": {} if is_true else _stated(sizes)}}


def _stated(sizes: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the sizes that differ from the published ones, which config.json then has to say."""
    hidden, vision = sizes["text_hidden"], sizes["vision_hidden"]
    prefix = (sizes["crop_px"] // sizes["patch_px"]) ** 2 + 1
    text = {"dim": hidden, "n_layers": sizes["text_layers"], "n_heads": hidden // TEXT_HEAD}
    return {
        "text": text | {"prefix_attn": prefix},
        "vision": {
            "enc_dim": vision,
            "enc_n_layers": sizes["vision_layers"],
            "enc_ff_dim": sizes["vision_ffn"],
            "enc_n_heads": vision // VISION_HEAD,
            "proj_out_dim": hidden,
            "crop_size": sizes["crop_px"],
            "proj_inner_dim": sizes["connector_inner"],
        },
        "region": {"dim": hidden, "inner_dim": sizes["region_inner"]},
    }


def tokenizer() -> Tokenizer:
    """Return bytes as tokens, and the end token where the real vocabulary has it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: FIRST_LETTER + number for number, letter in enumerate(letters)}
    made = Tokenizer(models.BPE(vocab=vocabulary | {END: END_TOKEN}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return made
