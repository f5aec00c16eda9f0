"""Compares quantisation schemes by how far they move a model's probabilities, and by their size.

Run: PYTHONPATH=. python benchmarks/int4_schemes.py [--model FOLDER] [--pictures N] [--schemes NAME ...]

The checkpoint in bf16 answers questions about held-out pictures, as `training.evaluate` draws them (run
`training.assets` first), and about the example pictures. Each scheme then gives its probabilities for those
answers, token by token: the mean of KL(bf16 || scheme) over a picture's tokens, then over pictures, and the
share of tokens that both rank first. Weights are quantised and dequantised by the package, and transformers
computes in float32, so that kernels play no part. Prints a table and, with --json, writes it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from training.captions import DESCRIBE, READ
from training.evaluate import CLEAN, MEME, THINGS_ONLY, scenes
from transformers import AutoProcessor, Idefics3ForConditionalGeneration

from smallsight.engine.reference.products import DenseWeights
from smallsight.quant.exploring import explored_schemes
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import Module, Scheme, parse_scheme

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
MAX_TOKENS, MAX_SIDE_PX = 48, 288
MAX_SCALE_FORM = "int4-groups"  # int4 before the search
_KEPT = ("norm", "patch_embedding", "position", "embed_tokens", "lm_head")

Asked = tuple[dict[str, torch.Tensor], torch.Tensor]


class Network:
    """A SmolVLM in transformers whose matrices are replaced by those of a scheme."""

    def __init__(self, folder: Path) -> None:
        self._network = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self._processor = AutoProcessor.from_pretrained(folder)
        self._checkpoint = {name: one.clone() for name, one in self._network.state_dict().items()}
        head = self._network.lm_head.weight.detach().clone()
        self._network.config.tie_word_embeddings = False
        self._network.lm_head.weight = torch.nn.Parameter(head)

    @torch.inference_mode()
    def answer(self, image: Image.Image, question: str) -> Asked:
        """Return a question's inputs and the tokens of the likeliest answer."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        prompt = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        inputs = dict(self._processor(text=prompt, images=[image], return_tensors="pt"))
        made = self._network.generate(**inputs, max_new_tokens=MAX_TOKENS, do_sample=False)
        return inputs, made[0, inputs["input_ids"].shape[1] :]

    @torch.inference_mode()
    def log_probabilities(self, asked: Asked) -> NDArray[np.float64]:
        """Return those of each token of the answer after the ones before it, [tokens, vocabulary]."""
        inputs, answer = asked
        given = {name: one for name, one in inputs.items() if name.startswith("pixel_")}
        given["input_ids"] = torch.cat([inputs["input_ids"], answer[None, :-1]], dim=1)
        logits = self._network(**given, logits_to_keep=len(answer)).logits[0]
        return torch.log_softmax(logits.double(), -1).numpy()

    def store(self, scheme: Scheme | None) -> int:
        """Put the matrices of a scheme in place (None: those of the checkpoint) and return their bytes."""
        num_bytes = 0
        for name, parameter in self._network.named_parameters():
            module = module_of(name)
            source = self._checkpoint[name]
            if module is not None and scheme is not None:
                form, matrix = scheme.modules[module], source.numpy()
                num_bytes += form.matrix_bytes(*matrix.shape)
                source = torch.from_numpy(DenseWeights({"one": form.store(matrix)}).vector("one"))
            parameter.data.copy_(source)
        return num_bytes


def module_of(name: str) -> Module | None:
    """Return the module that a parameter of transformers belongs to; None for one that is not quantised."""
    if name == "lm_head.weight":
        return Module.HEAD
    if not name.endswith(".weight") or any(part in name for part in _KEPT):
        return None
    parts = {"vision_model": Module.VISION, "connector": Module.CONNECTOR, "text_model": Module.TEXT}
    return next(module for part, module in parts.items() if part in name)


def questions(num_pictures: int) -> Iterator[tuple[Image.Image, str]]:
    """Yield the held-out pictures of three series, then every second example picture."""
    for level, question, wanted in (
        (CLEAN, READ[0], lambda scene: len(scene.lines) == 1),
        (MEME, READ[0], lambda scene: len(scene.lines) == 2),
        (THINGS_ONLY, DESCRIBE[0], lambda scene: bool(scene.things)),
    ):
        for scene in scenes(level, num_pictures, wanted):
            yield scene.image, question
    for path in sorted((ROOT / "examples" / "pictures").glob("*/*"))[::2]:
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            image = Image.open(path).convert("RGB")
            image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
            yield image, DESCRIBE[0]


def compare(base: list[NDArray[np.float64]], other: list[NDArray[np.float64]]) -> dict[str, float]:
    """Return the mean KL over pictures and over tokens, and the share of tokens that both rank first."""
    losses = [(np.exp(one) * (one - two)).sum(-1) for one, two in zip(base, other, strict=True)]
    same = [one.argmax(-1) == two.argmax(-1) for one, two in zip(base, other, strict=True)]
    return {
        "kl_nats": float(np.mean([one.mean() for one in losses])),
        "kl_nats_of_tokens": float(np.concatenate(losses).mean()),
        "agreement": float(np.concatenate(same).mean()),
    }


def explored() -> Mapping[str, Scheme]:
    """Return the schemes by name, with that of int4 before the search first."""
    layers = "; ".join(f"{module}={MAX_SCALE_FORM}" for module in Module if module is not Module.HEAD)
    found = {MAX_SCALE_FORM: parse_scheme(f"int4; {layers}")}
    return found | {one.name: one.scheme for one in explored_schemes(_nominal_bytes)}


def _nominal_bytes(scheme: Scheme) -> int:
    return sum(Storage(form).matrix_bytes(1024, 1024) for form in scheme.modules.values())


def main() -> None:
    """Read the command line, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--pictures", type=int, default=16, help="in each series")
    parser.add_argument("--schemes", nargs="*", help="their names; default: all that are explored")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    network = Network(options.model)
    asked = [network.answer(*one) for one in track(list(questions(options.pictures)))]
    base = [network.log_probabilities(one) for one in asked]
    print(f"{len(asked)} pictures, {sum(len(one) for one in base)} tokens")
    rows: dict[str, dict[str, Any]] = {}
    for name, scheme in explored().items():
        if options.schemes and name not in options.schemes:
            continue
        num_bytes = network.store(scheme)
        found = compare(base, [network.log_probabilities(one) for one in asked])
        rows[name] = {"scheme": str(scheme), "bytes": num_bytes, **found}
        print(f"{name:30} {num_bytes / 1e6:7.3f} MB  KL {found['kl_nats']:.4f}", end="  ", flush=True)
        print(
            f"KL of tokens {found['kl_nats_of_tokens']:.4f}  agreement {found['agreement']:.1%}", flush=True
        )
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
