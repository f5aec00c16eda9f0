"""The network as transformers knows it, and the head that learns with it and is then dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from training.batches import NO_LABEL, Batch
from training.scenes import CELL_PX, CLASSES

NOTHING_WEIGHT = 0.1  # most cells have nothing in them


@dataclass(frozen=True)
class Guess:
    """``logits`` [samples, tokens, vocabulary], two losses, and the share of filled cells guessed right."""

    logits: Tensor | None
    text_loss: Tensor
    cell_loss: Tensor
    cells_right: Tensor


class Network(nn.Module):
    """Idefics3, and from each patch the class of the cells it covers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        config = Idefics3Config.from_pretrained(folder)
        # For sequences this short, plain products are faster on a CPU than its fused attention.
        config._attn_implementation = "sdpa" if torch.cuda.is_available() else "eager"  # noqa: SLF001
        self.language = Idefics3ForConditionalGeneration(config)
        vision: Any = config.vision_config
        self.cells_per_patch = vision.patch_size // CELL_PX
        self.patches_per_side = vision.image_size // vision.patch_size
        self.cells = nn.Linear(vision.hidden_size, CLASSES * self.cells_per_patch**2)
        self._patches: Tensor | None = None
        self.language.model.vision_model.register_forward_hook(self._keep_patches)

    def _keep_patches(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._patches = output.last_hidden_state  # type: ignore[attr-defined]

    def forward(self, batch: Batch) -> Guess:
        """Guess the tokens and the cells of a batch; of pages, only the cells."""
        pixels = batch.tiles.float().div_(127.5).sub_(1)
        logits = None
        text_loss = pixels.new_zeros(())
        if batch.token_ids.shape[1] == 0:
            self.language.model.vision_model(pixel_values=pixels[:, 0])
        else:
            pixels *= batch.has_tile[:, :, None, None, None]
            logits = self.language(input_ids=batch.token_ids, pixel_values=pixels).logits
            text_loss = nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten(), ignore_index=NO_LABEL
            )
        assert self._patches is not None
        side, cells = self.patches_per_side, self.cells_per_patch
        guessed = self.cells(self._patches).view(-1, side, side, cells, cells, CLASSES)
        guessed = guessed.permute(0, 1, 3, 2, 4, 5).reshape(-1, CLASSES)
        weights = torch.ones(CLASSES, device=guessed.device)
        weights[0] = NOTHING_WEIGHT
        wanted = batch.cells.flatten()
        cell_loss = nn.functional.cross_entropy(
            guessed.float(), wanted, weight=weights, ignore_index=NO_LABEL
        )
        is_right = guessed.argmax(-1) == wanted
        return Guess(logits, text_loss, cell_loss, is_right[wanted > 0].float().mean().detach())
