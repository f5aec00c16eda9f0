"""Decoders with random weights in the true shapes of SmolVLM-256M and moondream2, to time single steps."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov

from smallsight.families.moondream2.config import Moondream2Config, read_config
from smallsight.families.moondream2.step_decoder import step_decoder
from smallsight.families.moondream2.stored import adapted
from smallsight.families.moondream2.text_graph import build_text_graph
from smallsight.families.smolvlm.config import SmolVLMTextConfig
from smallsight.families.smolvlm.text_graph import build_decoder
from smallsight.families.step_decoder import StepDecoder, llama_decoder
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import SCHEMES, Module, Scheme

SMOLVLM = SmolVLMTextConfig(
    vocabulary=49280,
    hidden=576,
    ffn=1536,
    layers=30,
    heads=9,
    kv_heads=3,
    head_dim=64,
    context_tokens=8192,
    norm_epsilon=1e-5,
    rope_theta=1e5,
)


@dataclass(frozen=True, eq=False)
class RandomDecoder:
    """Stored weights, and how both sides compute them. The weights must outlive what is built over them."""

    scheme: Scheme
    stored: Mapping[str, Stored]
    graph: Callable[[], ov.Model]
    step: StepDecoder


class _Weights:
    """Random weights that keep vectors about as long as they are."""

    def __init__(self, scheme: Scheme) -> None:
        self._values = np.random.default_rng(0)
        self._scheme = scheme

    def matrix(self, rows: int, columns: int, module: Module) -> Stored:
        scaled = self._values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
        return self._scheme.store(scaled, module)


def smolvlm(precision: str, layers: int = SMOLVLM.layers) -> RandomDecoder:
    """Return a SmolVLM-256M's decoder, or its first layers."""
    shape, scheme = replace(SMOLVLM, layers=layers), SCHEMES[precision]
    weights = _Weights(scheme)
    stored: dict[str, Stored] = {"text.norm.weight": np.ones(shape.hidden, np.float32)}
    sizes = {
        "attention": ((shape.heads + 2 * shape.kv_heads) * shape.head_dim, shape.hidden),
        "output": (shape.hidden, shape.heads * shape.head_dim),
        "ffn_gate_up": (2 * shape.ffn, shape.hidden),
        "ffn_down": (shape.hidden, shape.ffn),
    }
    for layer in range(shape.layers):
        name = f"text.layers.{layer}"
        stored |= {f"{name}.{one}.weight": weights.matrix(*size, Module.TEXT) for one, size in sizes.items()}
        stored |= {
            f"{name}.{one}_norm.weight": np.ones(shape.hidden, np.float32) for one in ("attention", "ffn")
        }
    stored["head.weight"] = weights.matrix(shape.vocabulary, shape.hidden, Module.HEAD)
    return RandomDecoder(scheme, stored, lambda: build_decoder(shape, stored), llama_decoder(shape, stored))


def moondream2(precision: str, layers: int) -> RandomDecoder:
    """Return the first layers of a moondream2's decoder: 24 in the published one."""
    config = _published_moondream2()
    config = replace(config, text=replace(config.text, layers=layers))
    text, scheme = config.text, adapted(SCHEMES[precision])
    weights = _Weights(scheme)
    stored: dict[str, Stored] = {}

    def add(name: str, rows: int, columns: int, module: Module) -> None:
        stored[f"{name}.weight"] = weights.matrix(rows, columns, module)
        stored[f"{name}.bias"] = np.zeros(rows, np.float32)

    def add_norm(name: str) -> None:
        stored[f"{name}.weight"], stored[f"{name}.bias"] = (
            np.ones(text.hidden, "f4"),
            np.zeros(text.hidden, "f4"),
        )

    for layer in range(layers):
        name = f"text.layers.{layer}"
        add_norm(f"{name}.norm")
        add(f"{name}.query_key_value", 3 * text.hidden, text.hidden, Module.TEXT)
        add(f"{name}.output", text.hidden, text.hidden, Module.TEXT)
        add(f"{name}.ffn_up", text.ffn, text.hidden, Module.TEXT)
        add(f"{name}.ffn_down", text.hidden, text.ffn, Module.TEXT)
    add_norm("text.norm")
    add("head", text.vocabulary, text.hidden, Module.HEAD)
    return RandomDecoder(
        scheme, stored, lambda: build_text_graph(config, stored), step_decoder(config, stored)
    )


def _published_moondream2() -> Moondream2Config:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps({"model_type": "moondream1"}), encoding="utf-8")
        return read_config(Path(folder))


SHAPES: Mapping[str, Callable[[str, int], RandomDecoder]] = {"smolvlm": smolvlm, "moondream2": moondream2}
