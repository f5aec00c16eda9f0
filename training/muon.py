"""Muon: the step of a matrix is its momentum with all singular values brought near one.

It learns these small networks from a fraction of the pictures that AdamW takes (docs/lab-log.md). torch has
it too; this one works on the small square of each matrix, and for widths like ours takes less time on a CPU.

Source: K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks", 2024; the size of a
step as in "Muon is scalable for LLM training", arXiv 2502.16982.
"""

from __future__ import annotations

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
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                ahead = matrix.grad.lerp(state["momentum"], group["momentum"])
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                # As large as a step of AdamW: a root mean square of about 0.2 times the rate.
                size = 0.2 * max(matrix.shape) ** 0.5
                matrix.add_(orthogonalised(ahead), alpha=-group["lr"] * size)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return a matrix with the same singular vectors and singular values near one (Newton-Schulz)."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if is_tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    first, second, third = COEFFICIENTS
    square = wide @ wide.T
    identity = torch.eye(len(square), dtype=wide.dtype, device=wide.device)
    product = identity
    for _ in range(ITERATIONS):
        factor = first * identity + second * square + third * (square @ square)
        product = factor @ product
        square = factor @ square @ factor
    made: Tensor = product @ wide
    return made.T if is_tall else made
