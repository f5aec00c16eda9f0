"""Tiny random SmolVLM checkpoints in the real layout, written by transformers itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CHAT_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
SPECIAL_TOKENS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<end_of_utterance>",
    "<fake_token_around_image>",
    "<image>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
]
CORPUS = [
    "Can you describe this image? What does the sign say? A cat sits on the sofa, and the other one sleeps.",
    "User: Assistant: System: How many people are there?\n\nThere are three of them; two are walking.",
]


@dataclass(frozen=True)
class TinyShape:
    name: str
    model_type: str = "idefics3"
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    hidden: int = 64
    layers: int = 3
    patch_px: int = 8
    patches: int = 4  # on a side
    scale_factor: int = 2
    grid: int = 4  # tiles on a side of the largest picture
    is_tied: bool = False
    dtype: str = "float32"
    shard_size: str = "1GB"
    max_frames: int | None = None  # of a video, for a model that knows videos
    video_fps: float = 1

    @property
    def tile_px(self) -> int:
        return self.patch_px * self.patches


SHAPES = (
    TinyShape("idefics3"),
    TinyShape("smolvlm-bf16", model_type="smolvlm", kv_heads=1, dtype="bfloat16"),
    TinyShape("tied", is_tied=True, kv_heads=4, head_dim=32, grid=2),
    TinyShape("five-patches", patches=5, scale_factor=5, hidden=96, heads=6, kv_heads=3, grid=3),
    TinyShape("seven-patches-sharded", model_type="smolvlm", patches=7, scale_factor=7, shard_size="150KB"),
    TinyShape(
        "six-patches-tied-bf16", patches=6, scale_factor=3, is_tied=True, dtype="bfloat16", head_dim=64
    ),
    TinyShape("many-tokens", model_type="smolvlm", patches=8, scale_factor=2, layers=2, grid=2),
)

VIDEO_SHAPES = (
    TinyShape("video", model_type="smolvlm", max_frames=64, grid=4),
    TinyShape("video-few-frames", model_type="smolvlm", max_frames=4, grid=2, patches=6, scale_factor=3),
    TinyShape("video-fast", model_type="smolvlm", max_frames=20, video_fps=2.5, grid=1, is_tied=True),
)


def make_checkpoint(directory: Path, shape: TinyShape, seed: int = 0, *, words: Sequence[str] = ()) -> Path:
    """Write one checkpoint with all its files into ``directory``; each of the words is a token."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(words)
    tokenizer.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end_of_utterance>"})
    )
    _save_model(directory, shape, tokenizer, seed)
    video_sampling = {
        "fps": shape.video_fps,
        "max_frames": shape.max_frames,
        "video_size": {"longest_edge": shape.tile_px},
    }
    (directory / "preprocessor_config.json").write_text(
        json.dumps(
            {
                **({"video_sampling": video_sampling} if shape.max_frames else {}),
                "do_convert_rgb": True,
                "do_image_splitting": True,
                "do_normalize": True,
                "do_pad": True,
                "do_rescale": True,
                "do_resize": True,
                "image_mean": [0.5, 0.5, 0.5],
                "image_std": [0.5, 0.5, 0.5],
                "max_image_size": {"longest_edge": shape.tile_px},
                "resample": 1,
                "rescale_factor": 0.00392156862745098,
                "size": {"longest_edge": shape.grid * shape.tile_px},
            }
        )
    )
    (directory / "chat_template.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    (directory / "generation_config.json").write_text(
        json.dumps({"eos_token_id": tokenizer.token_to_id("<end_of_utterance>")})
    )
    return directory


def make_tokenizer(words: Sequence[str] = ()):
    """Byte-level pairs with a few merges, so that where text is cut matters."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
    return tokenizer


def _save_model(directory: Path, shape: TinyShape, tokenizer, seed: int) -> None:
    import torch
    from transformers import Idefics3ForConditionalGeneration, SmolVLMForConditionalGeneration

    kinds = {"idefics3": Idefics3ForConditionalGeneration, "smolvlm": SmolVLMForConditionalGeneration}
    config = _config(shape, tokenizer)
    torch.manual_seed(seed)
    model = kinds[shape.model_type](config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.12)
            else:
                parameter.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.1)
    model.to(getattr(torch, shape.dtype)).save_pretrained(directory, max_shard_size=shape.shard_size)


def _config(shape: TinyShape, tokenizer):
    from transformers import Idefics3Config, SmolVLMConfig

    vision = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": shape.patch_px,
        "image_size": shape.tile_px,
    }
    text = {
        "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": shape.hidden,
        "intermediate_size": 2 * shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0,
        "pad_token_id": 0,
        "tie_word_embeddings": shape.is_tied,
    }
    kinds = {"idefics3": Idefics3Config, "smolvlm": SmolVLMConfig}
    return kinds[shape.model_type](
        vision_config=vision,
        text_config=text,
        scale_factor=shape.scale_factor,
        image_token_id=tokenizer.token_to_id("<image>"),
        tie_word_embeddings=shape.is_tied,
        pad_token_id=0,
    )
