"""Muon: the step of a matrix is its momentum with all singular values brought near one.

It learns these small networks from a fraction of the pictures that AdamW takes (training/LOG.md). torch has
it too; this one takes all matrices of one shape at once and in bfloat16, which on a CPU with AVX-512 is five
times faster.

Source: K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024; the size of a
step as in "Muon is scalable for LLM training", arXiv 2502.16982.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd polynomial that draws singular values towards one


class Muon(torch.optim.Optimizer):
    """For matrices inside a network; its norms, biases, embeddings and heads go to AdamW."""

    def __init__(
        self, matrices: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Change every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(state["momentum"], group["momentum"])
                alike[matrix.shape].append((matrix, ahead))
            for shape, pairs in alike.items():
                # As large as a step of AdamW: a root mean square of about 0.2 times the rate.
                size = 0.2 * max(shape) ** 0.5
                steps = orthogonalised(torch.stack([ahead for _, ahead in pairs]))
                for (matrix, _), step in zip(pairs, steps, strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(step, alpha=-group["lr"] * size)


def narrow_type(device: torch.device) -> torch.dtype:
    """Return bfloat16, or float32 on a CPU that would emulate it."""
    is_slow = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in {"DEFAULT", "AVX2"}
    return torch.float32 if is_slow else torch.bfloat16


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices [number, rows, columns] with the same singular vectors and singular values near one.

    Newton-Schulz iterations, in bfloat16 where the processor has it: with AVX2 alone, torch 2.13 emulates it
    and takes 18 times as long as in float32.
    """
    is_tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if is_tall else matrices
    made: Tensor = (wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(narrow_type(matrices.device))
    first, second, third = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = made @ made.mT
        factor = torch.baddbmm(square, square, square, beta=second, alpha=third)
        made = torch.baddbmm(made, factor, made, beta=first)
    result: Tensor = made.mT if is_tall else made
    return result
