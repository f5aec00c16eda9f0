"""The small files of a random Florence-2 checkpoint in its true shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from smallsight.families.florence2.processor import ADDED, BART_TOKENS
from smallsight.families.florence2.shapes import Florence2Sizes

IMAGE_TOKEN = 51289
SIDE_PX, WINDOW, HEAD, TEXT_HEAD = 768, 12, 32, 64


def files(architecture: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Return their names and what is in them."""
    sizes = Florence2Sizes(**architecture)
    heads = [width // HEAD for width in sizes.vision_widths]
    vision = {
        "model_type": "florence_vision",
        "depths": list(sizes.vision_depths),
        "embed_dim": list(sizes.vision_widths),
        "num_heads": heads,
        "num_groups": heads,
        "window_size": WINDOW,
        "projection_dim": sizes.text_hidden,
        "max_position_embeddings": sizes.vision_positions,
    }
    text = {
        "model_type": "bart",
        "vocab_size": sizes.vocabulary,
        "d_model": sizes.text_hidden,
        "max_position_embeddings": sizes.text_positions,
        "decoder_start_token_id": 2,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    }
    for side, layers in (("encoder", sizes.encoder_layers), ("decoder", sizes.decoder_layers)):
        text[f"{side}_layers"] = layers
        text[f"{side}_attention_heads"] = sizes.text_hidden // TEXT_HEAD
        text[f"{side}_ffn_dim"] = sizes.text_ffn
    config = {
        "architectures": ["Florence2ForConditionalGeneration"],
        "model_type": "florence2",
        "image_token_id": IMAGE_TOKEN,
        "tie_word_embeddings": True,
        "dtype": "bfloat16",
        "vision_config": vision,
        "text_config": text,
    }
    images = {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": False,
        "size": {"height": SIDE_PX, "width": SIDE_PX},
        "resample": 3,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    generation: dict[str, object] = {"num_beams": 3, "no_repeat_ngram_size": 3, "early_stopping": True}
    generation |= {"forced_bos_token_id": 0, "forced_eos_token_id": 2, "decoder_start_token_id": 2}
    generation |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    return {
        "config.json": config,
        "preprocessor_config.json": images,
        "generation_config.json": generation,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
    }


def tokenizer() -> Tokenizer:
    """Return bytes as tokens, and the control tokens and places where the real vocabulary has them."""
    controls = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    controls |= {name: BART_TOKENS + number for number, name in enumerate(ADDED)}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = controls | {letter: 100 + number for number, letter in enumerate(letters)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in controls])
    return made
