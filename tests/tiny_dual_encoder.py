"""Writes small SigLIPs and CLIPs with random weights in Hugging Face layout, with real tokenizers."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from smallsight.families.byte_level import _BYTES
from smallsight.families.clip.graphs import NAMES as CLIP_NAMES
from smallsight.families.clip.shapes import tensor_shapes_of as clip_tensors
from smallsight.families.dual_encoder.shapes import DualEncoderSizes
from smallsight.families.dual_encoder.weights import upstream_name
from smallsight.families.siglip.graphs import NAMES as SIGLIP_NAMES
from smallsight.families.siglip.shapes import tensor_shapes_of as siglip_tensors

# Trained by sentencepiece 0.2.1 on a few words, with rules for two characters; 57 pieces.
_SENTENCEPIECE = (
    "c-l?V2Y3@@9LMp?wT1NPvhtT&>p%n*eMC{51&cTk_dvvj*W}WKhFr`bsEDngqM(2S2cSj71%d@si~<2gt1_yh;y@7u2dKDl;"
    "`hy66YqIGPkz7mz1-b<!zeR~YNMuqfM{%01xBe+SlcI_t7<wKX>_}8bTJCIOm8+N)~{=ZeLGQnW<sjWx{Og`6jAMn42jltOv"
    "Ws~^oZxGoeGPcuYS8h#^h@vWy_5J)u1J_^3`X?q$WWvGdfe_cEFV3$y`swEK8!Qmm6Ms&`!oJDIT30sJBdCP$uLDqCq=h%OW"
    "*UVHB%FCL?hxA)!=mBx>2wuqD${xzn)PxU89&Uv5A)sOB|1rfeHDCu0~!0pl{Zwl!lE8#+5|uSsVY;T~<*Jg2&+>$D)9J(zP"
    "j{TDmUx!UR_PIDI1eJPD6kX`z?6;8>n+mlIWPpqEB%+=0B_DVOkITPwmZ(ZB5Q%shvbF#X}p7n0#_LsX^J*eV#C#z?;P-V56"
    "h{SfJv&(Iexxt<*RjQY=kdso9a#K<^yD1`rM>;7it!@fPb)%E~GTu!w+3BXJ3=KOeD9hdClU}2ol#nTIvShcLY%wEFif2=0w"
    "<=FY*W2_x9h;|J_iWU)>K3n2!o7@*@LPdU#PU~8@@j>=+a(3ss>!<6QlwsVt!cidYt5yanrfQeU!!SFUM9N0K&ko*%29^BP="
    "UQsiC5Zmtt-FXun+cCpAYs!HTFjh4#WZIj)Twx2cstr!J+7d!*LjnKyUm|p=(F-+XqMC7#xjb(HH%298SRTI0+}>6r2o}q}A"
    "e748TCtVGvHk88{th;Y^&3!8iv)a30RZ1vnoU;X+)3i!l_JVi+#Na9oZnaRsi%RTzP5VB%W%P!9`!G$4Qwf@s7@j6xVTBDfA"
    "w#1TUh38XL@*JBKB#0|I!V{tRap;<k2jK?jw6%%kfZo?gzh)K8;cVRN7;BHLARNRYua6j(D1DKA7@E~U3Va&ozJc>s!8!ecF"
    "$1oR<<4HV$r|}f#;Tb%O`B;brXvK3_j74}JOYkCIz)M()myyOY^^Rf%mSZI{conO#8n59EypA`~hPUw+)?y9TV;$Z>JKn>)c"
    "pn?^AwIxI*oaT?F*e~-e2&lX1vX<VwqP5+#8=pkZ}2sC;9Go$o$5Ql_xKUJ@H2kGulNPO<2U?)-S`WC;vf8tJ@_~K?G4ldAw"
    "JQ*+J92}f64"
)
SENTENCEPIECE = zlib.decompress(base64.b85decode("".join(_SENTENCEPIECE)))
GEMMA_SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
GEMMA_WORDS = (
    "\u2581",
    *"abcdefghijklmnopqrstuvwxyz",
    "ca",
    "cat",
    "\u2581ca",
    "\u2581cat",
    "do",
    "dog",
    "\u2581o",
)
GEMMA_MERGES = (("c", "a"), ("ca", "t"), ("\u2581", "cat"), ("d", "o"), ("do", "g"), ("\u2581", "o"))
GEMMA_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
CLIP_MERGES = (("c", "a"), ("ca", "t</w>"), ("o", "w"), ("ow", "l</w>"), ("d", "o"), ("do", "g</w>"))
MODES = ("RGB", "L", "LA", "RGBA", "P", "CMYK", "1", "I;16")


@dataclass(frozen=True)
class DualShape:
    vision_hidden: int = 32
    vision_ffn: int = 64
    vision_layers: int = 2
    vision_heads: int = 4
    image_px: int = 32
    patch_px: int = 8
    text_hidden: int = 32
    text_ffn: int = 48
    text_layers: int = 2
    text_heads: int = 2
    text_positions: int = 16
    dimensions: int = 32

    def sizes(self, vocabulary: int) -> DualEncoderSizes:
        known = {
            name: getattr(self, name)
            for name in DualEncoderSizes.__dataclass_fields__
            if name != "vocabulary"
        }
        return DualEncoderSizes(vocabulary=vocabulary, **known)


def write_tiny_siglip(
    folder: Path, shape: DualShape = DualShape(), *, seed: int = 0, gemma: bool = False
) -> Path:
    """Write a SigLIP of either generation; the second has Gemma's tokenizer and bilinear resizing."""
    folder.mkdir(parents=True, exist_ok=True)
    if gemma:
        gemma_tokenizer().save(str(folder / "tokenizer.json"))
        vocabulary = len(gemma_vocabulary())
    else:
        (folder / "spiece.model").write_bytes(SENTENCEPIECE)
        vocabulary = 60
    _write_config(folder, "siglip", shape, vocabulary, {})
    side = {"height": shape.image_px, "width": shape.image_px}
    _write_json(folder / "preprocessor_config.json", {"size": side, "resample": 2 if gemma else 3})
    tensors = _random(siglip_tensors(shape.sizes(vocabulary)), SIGLIP_NAMES, seed)
    save_file(tensors, folder / "model.safetensors")
    return folder


def write_tiny_clip(
    folder: Path, shape: DualShape = DualShape(), *, seed: int = 0, has_json: bool = True
) -> Path:
    """Write a CLIP with a tokenizer.json, or with vocab.json and merges.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = clip_vocabulary()
    if has_json:
        clip_tokenizer().save(str(folder / "tokenizer.json"))
    else:
        _write_json(folder / "vocab.json", vocabulary)
        lines = ["#version: 0.2", *(" ".join(pair) for pair in CLIP_MERGES)]
        (folder / "merges.txt").write_text("\n".join(lines), "utf-8")
    end = {"eos_token_id": 2 if has_json else len(vocabulary) - 1}  # 2 stands for the highest
    _write_config(folder, "clip", shape, len(vocabulary), end)
    _write_json(folder / "preprocessor_config.json", {"size": shape.image_px, "crop_size": shape.image_px})
    tensors = _random(clip_tensors(shape.sizes(len(vocabulary))), CLIP_NAMES, seed)
    tensors["text_model.embeddings.position_ids"] = np.arange(shape.text_positions)[None]  # as older files do
    save_file(tensors, folder / "model.safetensors")
    return folder


def gemma_vocabulary() -> dict[str, int]:
    return {token: number for number, token in enumerate((*GEMMA_SPECIAL, *GEMMA_BYTES, *GEMMA_WORDS))}


def gemma_tokenizer() -> Tokenizer:
    """As the published file: without the lower case that the network was trained with."""
    model = models.BPE(
        gemma_vocabulary(), list(GEMMA_MERGES), fuse_unk=True, unk_token="<unk>", byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return tokenizer


def clip_vocabulary() -> dict[str, int]:
    letters = sorted(_BYTES)
    merged = [first + second for first, second in CLIP_MERGES]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *merged, "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


def clip_tokenizer() -> Tokenizer:
    from transformers import CLIPTokenizer

    return CLIPTokenizer(clip_vocabulary(), list(CLIP_MERGES)).backend_tokenizer


def draw_odd_pictures(number: int, seed: int = 0) -> list[Image.Image]:
    """Return pictures of all modes and of odd sizes, from 1 x 1 on."""
    random = np.random.default_rng(seed)
    pictures = []
    for index in range(number):
        width, height = (int(side) for side in random.integers(1, 90, 2))
        coarse_HW4 = random.integers(0, 256, (5, 5, 4), dtype=np.uint8)
        rgba = Image.fromarray(coarse_HW4).resize((width, height), Image.Resampling.BICUBIC)
        pictures.append(_in_mode(rgba, MODES[index % len(MODES)]))
    return pictures


def _in_mode(rgba: Image.Image, mode: str) -> Image.Image:
    match mode:
        case "RGBA" | "LA":
            return rgba.convert(mode)
        case "P":
            palette = rgba.convert("RGB").quantize(16)
            palette.info["transparency"] = 3
            return palette
        case "I;16":
            return Image.fromarray(np.asarray(rgba.convert("L")).astype(np.uint16))
        case _:
            return rgba.convert("RGB").convert(mode)


def _write_config(folder: Path, kind: str, shape: DualShape, vocabulary: int, text: dict[str, int]) -> None:
    vision_config = {
        "hidden_size": shape.vision_hidden,
        "intermediate_size": shape.vision_ffn,
        "num_hidden_layers": shape.vision_layers,
        "num_attention_heads": shape.vision_heads,
        "image_size": shape.image_px,
        "patch_size": shape.patch_px,
    }
    text_config = {
        "hidden_size": shape.text_hidden,
        "intermediate_size": shape.text_ffn,
        "num_hidden_layers": shape.text_layers,
        "num_attention_heads": shape.text_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": shape.text_positions,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    if kind == "siglip":
        text_config["projection_size"] = shape.dimensions
    config = {"model_type": kind, "vision_config": vision_config, "text_config": text_config | text}
    if kind == "clip":
        config["projection_dim"] = shape.dimensions
    _write_json(folder / "config.json", config)


def _random(shapes, names: dict[str, str], seed: int) -> dict[str, np.ndarray]:
    """Return all tensors: matrices that keep the size of what they multiply, norms near 1, and the rest."""
    random = np.random.default_rng(seed)
    tensors = {}
    for tensor in shapes:
        values = random.standard_normal(tensor.shape).astype(np.float32)
        if tensor.name.endswith("norm.weight"):
            values = 1 + 0.2 * values
        elif len(tensor.shape) > 1 and tensor.name.endswith("weight") and tensor.name != "embeddings.weight":
            values *= 1.3 / np.sqrt(np.prod(tensor.shape[1:]))
        elif tensor.name.endswith("bias"):
            values *= 0.2
        tensors[upstream_name(tensor.name, names)] = np.asarray(values, np.float32)
    return tensors


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")
