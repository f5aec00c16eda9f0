"""The two limits of decoding on a device, measured in the same run, and what they allow a model.

No step is faster than reading the weights and the keys and values once, or than its multiplications at the
rate of a large matrix product.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from smallsight.engine.engine import Engine
from smallsight.engine.florence2_engine import Florence2Engine
from smallsight.engine.torch.stored_parts import count_modules
from smallsight.families.registry import find_family

ONCE = ("encoder_attn.k_proj", "encoder_attn.v_proj")  # computed once per prompt, not in every step


@dataclass(frozen=True)
class Limits:
    """Bytes and operations per second of a device."""

    bytes_per_s: float
    operations_per_s: float


@dataclass(frozen=True)
class StepCost:
    """What one step of a decoder reads and multiplies."""

    weights_bytes: int
    num_parameters: int
    cache_bytes_per_token: float
    rows_per_sequence: int  # the beams

    def tokens_per_s(self, limits: Limits, batch: int, context_tokens: float) -> dict[str, float]:
        """Return the tokens per second that each limit allows, over all sequences of a batch."""
        step_bytes = self.weights_bytes + batch * context_tokens * self.cache_bytes_per_token
        operations = 2 * self.num_parameters * self.rows_per_sequence
        return {
            "bandwidth_limit_tokens_per_s": batch * limits.bytes_per_s / step_bytes,
            "matrix_limit_tokens_per_s": limits.operations_per_s / operations,
        }


def measure_limits(device: str, *, is_dry: bool) -> Limits:
    """Measure a copy and a bf16 matrix product, the best of five."""
    size, side = (1 << 20, 128) if is_dry else (1 << 30, 8192)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    matrix = torch.randn(side, side, dtype=torch.bfloat16, device=device)
    copy_s = _best_s(device, lambda: target.copy_(source))
    product_s = _best_s(device, lambda: matrix @ matrix)
    return Limits(2 * size / copy_s, 2 * side**3 / product_s)


def step_cost(engine: Engine, family: str, sizes: dict[str, Any]) -> StepCost:
    """Return what a step of a loaded model's decoder costs at least."""
    kv_bytes = find_family(family).kv_cache_bytes(sizes)
    if isinstance(engine, Florence2Engine):
        network: Any = engine.held
        layers = count_modules(network.model.language_model.decoder.layers, _how_often)
        head = count_modules(network.lm_head, lambda _: "each step")
        parts = [part for part in (*layers, *head) if part.part == "each step"]
        tokens, beams = sizes["text_positions"] + sizes["image_tokens"], engine.defaults.num_beams
    else:
        has_head = any(part.part == "head" for part in engine.parts)
        wanted = ("text", "head" if has_head else "embeddings")
        parts = [part for part in engine.parts if part.part in wanted]
        tokens, beams = sizes["context_tokens"], 1
    return StepCost(
        sum(part.num_bytes for part in parts),
        sum(part.num_parameters for part in parts),
        kv_bytes / tokens,
        beams,
    )


def _how_often(name: str) -> str:
    return "once" if any(part in name for part in ONCE) else "each step"


def _best_s(device: str, compute: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        _wait(device)
        began_s = time.perf_counter()
        compute()
        _wait(device)
        times.append(time.perf_counter() - began_s)
    return min(times)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
