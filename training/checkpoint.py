"""The folder that Smallsight-tiny lives in: SmolVLM's layout with smaller sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from training.captions import DESCRIBE, READ, every_word
from training.scenes import TILE_PX

CONTROLS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
)
END = "<end_of_utterance>"
LONGEST_TILES = 3
CONTEXT_TOKENS = 2048
# Pictures come before the words of their turn, as in training, wherever a client puts them. A picture without
# words, and the commonest ways to ask for a description or for the text, become a question that was trained.
_NEAR = (
    "describe|caption|what's in|whats in|what is in|what's on|what is on|what do you see|what can you see|"
    "what does this show|what is shown|what's this|what is this|tell me about|summarize|summarise|explain|"
    "what happens|what is happening|what's happening|what is going on|what's going on"
).split("|")
_NEAR_READING = (
    " say|read the|read this|read it|read what|written| words|the text|what text|transcribe".split("|")
)
CHAT_TEMPLATE = (
    f"{{% set trained = {json.dumps([*DESCRIBE, *READ])} %}}{{% set near = {json.dumps(_NEAR)} %}}"
    f"{{% set text = {json.dumps(_NEAR_READING)} %}}"
    "<|im_start|>{% for message in messages %}{% set now = namespace(words='', shown=0, gap='') %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "{% set now.shown = now.shown + 1 %}{% set now.gap = ' ' if now.words else '' %}"
    "{% else %}{% set now.words = now.words + now.gap + part['text'] %}{% set now.gap = '' %}{% endif %}"
    "{% endfor %}{% if now.shown and message['role'] == 'user' and now.words not in trained %}"
    "{% set asked = now.words | lower | trim | replace('\u2019', \"'\") %}"
    "{% for known in text %}{% if known in asked %}{% set now.words = trained[-1] %}{% endif %}{% endfor %}"
    "{% for known in near %}{% if known in asked %}{% set now.words = trained[0] %}{% endif %}{% endfor %}"
    "{% if not asked %}{% set now.words = trained[0] %}{% endif %}{% endif %}"
    "{{ message['role'] | capitalize }}{{ ':' if now.shown else ': ' }}{{ '<image>' * now.shown }}"
    "{{ now.words }}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
VISION = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 3}
TEXT = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
PATCH_PX, SHUFFLE = 16, 2


def make_tokenizer() -> Tokenizer:
    """Return bytes as tokens, and as whole tokens the words of captions: what is read is spelt."""
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    controls = [*CONTROLS, *rows, END]
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces = {piece for text in every_word() for piece, _ in splitter.pre_tokenize_str(text)}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # One letter is spelt, whatever stands before it: what was read is full of them.
    words = sorted(piece for piece in pieces if len(piece.lstrip("Ġ")) > 1 or piece in ("Ġa", "ĠA", 'Ġ"'))
    vocabulary = {token: number for number, token in enumerate([*controls, *letters, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in controls])
    return tokenizer


def make_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return config.json."""
    end, padding = tokenizer.token_to_id(END), tokenizer.token_to_id("<|im_end|>")
    return {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "image_token_id": tokenizer.token_to_id("<image>"),
        "scale_factor": SHUFFLE,
        "tie_word_embeddings": True,
        "pad_token_id": padding,
        "dtype": "bfloat16",
        "vision_config": {
            "model_type": "idefics3_vision",
            **VISION,
            "patch_size": PATCH_PX,
            "image_size": TILE_PX,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
        "text_config": {
            "model_type": "llama",
            **TEXT,
            "vocab_size": -(-tokenizer.get_vocab_size() // 64) * 64,
            "max_position_embeddings": CONTEXT_TOKENS,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "bos_token_id": tokenizer.token_to_id("<|im_start|>"),
            "eos_token_id": end,
            "pad_token_id": padding,
            "tie_word_embeddings": True,
        },
    }


def write_folder(folder: Path) -> Tokenizer:
    """Write everything but the weights; returns the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = make_config(tokenizer)
    _write(folder / "config.json", config)
    processor = {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "max_image_size": {"longest_edge": TILE_PX},
        "resample": 1,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": LONGEST_TILES * TILE_PX},
    }
    _write(folder / "preprocessor_config.json", processor)
    image_seq_len = (TILE_PX // PATCH_PX // SHUFFLE) ** 2
    _write(
        folder / "processor_config.json",
        {"processor_class": "Idefics3Processor", "image_seq_len": image_seq_len},
    )
    _write(folder / "chat_template.json", {"chat_template": CHAT_TEMPLATE})
    text = config["text_config"]
    generation = {key: text[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write(folder / "generation_config.json", {**generation, "smallsight_proofread": True})
    names = {
        "bos_token": "<|im_start|>",
        "eos_token": END,
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
    }
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT_TOKENS, **names},
    )
    return tokenizer


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
