"""Puts Smallsight-tiny-looks into the package: its files, how well words find drawings, and its card.

Run: python -m training.ship_looks RUN_FOLDER [--photographs FOLDER] [--to FOLDER]

Every number on the card comes from this run. ``--photographs`` measures what words find among real
photographs, which are not part of this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from smallsight.catalog.files import shipped_directory
from smallsight.families.drawings.config import MODEL_TYPE, TOWER
from smallsight.families.drawings.tokenizer import END
from smallsight.families.dual_encoder.weights import upstream_name
from smallsight.families.siglip.graphs import NAMES
from smallsight.model.embedding_model import EmbeddingModel, load_embedding_model
from smallsight.settings import Settings
from training.look_network import Layer, Looks, LookSizes
from training.look_pictures import HELD_OUT_SEED, drawings
from training.look_texts import Facts, Shown
from training.train_looks import HELD_OUT, make_tokenizer
from training.vocabulary import COLOURS, THINGS, plural

HERE = Path(__file__).parent
TOWER_FOLDER = shipped_directory(TOWER)
SHIPPED = TOWER_FOLDER.parent / "Smallsight-tiny-looks"
PRECISIONS = ("fp32", "bf16", "int8")
NONSENSE = (
    "zyxwv",
    "quantum chromodynamics",
    "invoice 2024",
    "lorem ipsum dolor sit amet",
    "asdf jkl",
    "parliament",
    "a wedding in tuscany",
    "my passport",
    "sunset over the sea",
    "grandmother",
    "stock market",
    "the",
    "a picture of",
    "football match highlights in the rain",
    "zebra",
    "red zebra",
    "two zebras",
    "screenshot of an error message",
    "tax return",
    "12345",
)
PARTS_OF_PHOTOGRAPHS = 4  # and the whole


def write_folder(saved: dict[str, Any], folder: Path) -> None:
    """Write the head, the text encoder and all other files of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes: LookSizes = saved["sizes"]
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    layer = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
    vision = layer | {
        "hidden_size": sizes.width,
        "intermediate_size": sizes.pool_ffn,
        "num_hidden_layers": 6,
        "num_attention_heads": 3,
        "image_size": 192,
        "patch_size": 16,
        "pool_heads": sizes.pool_heads,
        "tower_sha256": hashlib.sha256((TOWER_FOLDER / "model.safetensors").read_bytes()).hexdigest(),
    }
    text = layer | {
        "hidden_size": sizes.text_hidden,
        "intermediate_size": sizes.text_ffn,
        "num_hidden_layers": sizes.text_layers,
        "num_attention_heads": sizes.text_heads,
        "max_position_embeddings": sizes.text_positions,
        "vocab_size": sizes.vocabulary,
        "eos_token_id": tokenizer.token_to_id(END),
    }
    _write(folder / "config.json", {"model_type": MODEL_TYPE, "vision_config": vision, "text_config": text})
    side = {"height": 192, "width": 192}
    _write(folder / "preprocessor_config.json", {"size": side, "resample": int(Image.Resampling.LANCZOS)})
    looks = Looks(sizes)
    looks.load_state_dict(saved["weights"])
    tensors = {
        upstream_name(name, NAMES): tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in _tensors(looks)
    }
    weights = folder / "model.safetensors"
    save_file(tensors, weights, {"format": "pt"})
    weights.chmod(0o644)  # it is written for its owner alone


def _tensors(looks: Looks) -> list[tuple[str, torch.Tensor]]:
    """Return the trained tensors by Smallsight's names."""
    pool, text = looks.pool, looks.text
    found: list[tuple[str, torch.Tensor]] = [
        ("vision.pool.probe", pool.probe[None, None]),
        ("vision.pool.attention.weight", pool.in_proj.weight),
        ("vision.pool.attention.bias", pool.in_proj.bias),
        ("embeddings.weight", text.table.weight),
        ("text.positions", text.positions),
        ("logit.scale", looks.scale[None]),
        ("logit.bias", looks.bias[None]),
    ]
    modules: list[tuple[str, torch.nn.Module]] = [
        ("vision.pool.output", pool.out_proj),
        ("vision.pool.ffn_norm", pool.layernorm),
        ("vision.pool.ffn_up", pool.fc1),
        ("vision.pool.ffn_down", pool.fc2),
        ("text.norm", text.norm),
        ("text.projection", text.head),
    ]
    for number, layer in enumerate(text.layers):
        assert isinstance(layer, Layer)
        name = f"text.layers.{number}"
        modules += [
            (f"{name}.attention_norm", layer.layer_norm1),
            (f"{name}.output", layer.out_proj),
            (f"{name}.ffn_norm", layer.layer_norm2),
            (f"{name}.ffn_up", layer.fc1),
            (f"{name}.ffn_down", layer.fc2),
        ]
        for part, weight, bias in zip(
            ("query", "key", "value"), layer.qkv.weight.chunk(3), layer.qkv.bias.chunk(3), strict=True
        ):
            found += [(f"{name}.{part}.weight", weight), (f"{name}.{part}.bias", bias)]
    for name, module in modules:
        found += [(f"{name}.{kind}", tensor) for kind, tensor in module.named_parameters()]
    return found


def measure(model: EmbeddingModel, shown: Sequence[Shown], images: Sequence[Image.Image]) -> dict[str, float]:
    """Return how well words find the held-out drawings, and what nonsense finds."""
    facts = Facts(shown)
    pictures_ND = model.embedder.embed_pictures(images)
    least = model.embedder.min_similarity

    def found(texts: Sequence[str]) -> NDArray[np.float32]:
        similarities: NDArray[np.float32] = model.embed_texts(texts) @ pictures_ND.T
        return similarities

    has_NT = facts.counts_NT > 0
    names = [number for number in range(len(THINGS)) if has_NT[:, number].any()]
    by_name = found([THINGS[number] for number in names])
    relevant = [has_NT[:, number] for number in names]
    pairs = [
        (t, c) for t in range(len(THINGS)) for c in range(len(COLOURS)) if facts.tinted_NTC[:, t, c].any()
    ]
    by_pair = found([f"{list(COLOURS)[colour]} {THINGS[thing]}" for thing, colour in pairs])
    in_pair = [facts.tinted_NTC[:, thing, colour] for thing, colour in pairs]
    told = [row for row, one in enumerate(shown) if one.things]
    by_sentence = found([sentence(shown[row]) for row in told])
    is_own = [np.arange(len(shown)) == row for row in told]
    shown_above = by_name >= least
    right = np.array(relevant) & shown_above
    return {
        "least_similarity": round(least, 4),
        "names": len(names),
        "recall_at_5": _recall(by_name, relevant),
        "recall_at_5_above_least": _recall(np.where(shown_above, by_name, -1), relevant, least),
        "one_of_first_5": _share(by_name, relevant, 5),
        "first_is_right": _share(by_name, relevant, 1),
        "recall_at_5_of_plurals": _recall(found([plural(THINGS[number]) for number in names]), relevant),
        "coloured_recall_at_5": _recall(by_pair, in_pair),
        "sentence_finds_its_drawing_in_5": _recall(by_sentence, is_own),
        "precision_above_least": round(float(right.sum() / max(1, shown_above.sum())), 4),
        "recall_above_least": round(float(right.sum() / np.array(relevant).sum()), 4),
        "nonsense_hits": int((found(NONSENSE) >= least).sum()),
        "nonsense_highest": round(float(found(NONSENSE).max()), 4),
    }


def sentence(shown: Shown) -> str:
    """Return what a drawing shows in words."""
    things = list(dict.fromkeys(f"{colour} {name}" if colour else name for name, colour in shown.things))
    return " and ".join(things) + f" on a {shown.background[0]} background"


def _recall(
    similarities: NDArray[np.float32], relevant: Sequence[NDArray[np.bool_]], least: float = -1.0
) -> float:
    """Return the mean share of relevant drawings, at most five, that are among the first five."""
    shares = []
    for row, is_right in zip(similarities, relevant, strict=True):
        best = np.argsort(-row, kind="stable")[:5]
        shares.append((is_right[best] & (row[best] >= least)).sum() / min(5, is_right.sum()))
    return round(float(np.mean(shares)), 4)


def _share(similarities: NDArray[np.float32], relevant: Sequence[NDArray[np.bool_]], num: int) -> float:
    hits = [
        is_right[np.argsort(-row, kind="stable")[:num]].any()
        for row, is_right in zip(similarities, relevant, strict=True)
    ]
    return round(float(np.mean(hits)), 4)


def measure_photographs(model: EmbeddingModel, folder: Path) -> dict[str, Any]:
    """Return how often one of the 79 names is found in photographs: each whole, and four parts of it."""
    images = []
    rng = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        whole = Image.open(path).convert("RGB")
        images.append(whole)
        for _ in range(PARTS_OF_PHOTOGRAPHS):
            side = int(min(whole.size) * rng.uniform(0.3, 0.8))
            left, top = (int(rng.integers(0, length - side + 1)) for length in whole.size)
            images.append(whole.crop((left, top, left + side, top + side)))
    similarities = model.embed_texts(list(THINGS)) @ model.embedder.embed_pictures(images).T
    is_found = similarities >= model.embedder.min_similarity
    often = sorted(zip(is_found.sum(1).tolist(), THINGS, strict=True), reverse=True)[:6]
    return {
        "pictures": len(images),
        "names_found_in_a_picture": round(float(is_found.sum() / len(images)), 3),
        "pictures_with_a_name": round(float(is_found.any(0).mean()), 4),
        "names_found_most": [f"{name} ({count})" for count, name in often],
        "owl": int(is_found[THINGS.index("owl")].sum()),
        "highest": round(float(similarities.max()), 4),
    }


def ship(run: Path, folder: Path, photographs: Path | None) -> None:
    """Write, measure, and write the card."""
    write_folder(torch.load(run / "looks.pt", weights_only=False), folder)
    drawn = list(drawings(HELD_OUT_SEED, HELD_OUT, "test"))
    images, shown = [image for image, _ in drawn], [one for _, one in drawn]
    results: dict[str, Any] = {}
    of_photographs: dict[str, Any] = {}
    for precision in PRECISIONS:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home))
            with load_embedding_model(
                folder.absolute(), precision=precision, settings=settings, threads=1
            ) as model:
                results[precision] = measure(model, shown, images)
                if photographs is not None:
                    of_photographs[precision] = measure_photographs(model, photographs)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    training = {
        "epochs": log[-1]["epoch"],
        "processor_seconds": log[-1]["processor_seconds"],
        "loss": log[-1]["loss"],
    }
    measured = {
        "drawings": HELD_OUT,
        "precisions": results,
        "photographs": of_photographs,
        "training": training,
    }
    _write(folder / "evaluation.json", measured)
    size_bytes = sum(path.stat().st_size for path in folder.iterdir() if path.name != "README.md")
    values = {
        "table": "\n".join(table(results)),
        "photographs": _told(of_photographs),
        "kilobytes": f"{size_bytes / 1e3:.0f}",
        "things": len(THINGS),
        "words": make_tokenizer().get_vocab_size() - 3,
        "minutes": f"{training['processor_seconds'] / 60:.0f}",
        "epochs": training["epochs"],
    }
    card = Template((HERE / "looks_card.txt").read_text(encoding="utf-8")).substitute(values)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(json.dumps(measured, indent=1))


def table(results: dict[str, Any]) -> list[str]:
    """Return the lines of a Markdown table, a column for each precision."""
    rows = {
        'recall at 5 of a name, such as "owl"': "recall_at_5",
        "the same, of hits above the least similarity": "recall_at_5_above_least",
        "a right drawing among the first 5": "one_of_first_5",
        "the first is right": "first_is_right",
        "recall at 5 of a colour and a name": "coloured_recall_at_5",
        "a sentence finds its drawing among the first 5": "sentence_finds_its_drawing_in_5",
        "of all hits above the least similarity, right": "precision_above_least",
        "of all drawings with the thing, above it": "recall_above_least",
    }
    lines = ["| | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    for title, key in rows.items():
        lines.append(f"| {title} | " + " | ".join(f"{one[key]:.1%}" for one in results.values()) + " |")
    counts = " | ".join(str(one["nonsense_hits"]) for one in results.values())
    return [*lines, f"| hits of {len(NONSENSE)} searches for what it does not know | {counts} |"]


def _told(of_photographs: dict[str, Any]) -> str:
    if not of_photographs:
        return "It was not measured on photographs."
    one = of_photographs["int8"]
    return (
        f"Of {one['pictures']} photographs and parts of photographs, {one['pictures_with_a_name']:.0%} are "
        f"above the least similarity for at least one of the {len(THINGS)} names (int8)."
    )


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--to", type=Path, default=SHIPPED)
    options = parser.parse_args()
    ship(options.run, options.to, options.photographs)


if __name__ == "__main__":
    main()
