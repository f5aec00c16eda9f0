"""The network as transformers knows it, and the head that learns with it and is then dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from training.batches import NO_LABEL, Batch
from training.scenes import CELL_PX, CLASSES, ORDERS
from training.vocabulary import COLOURS

NOTHING_WEIGHT = 0.1  # most cells have nothing in them
# Of the loss, beside 1 for text and for cells.
ORDER_SHARE, TINT_SHARE, PLACE_SHARE, HUE_SHARE = 0.5, 0.3, 0.3, 0.5
LAYERS_BEFORE_PLACES = 2  # of the text half: those after can use what these have found


@dataclass(frozen=True)
class Guess:
    """``logits`` [samples, tokens, vocabulary], losses, and the share of filled cells guessed right.

    ``loss`` is what to descend; ``text_loss`` and ``cell_loss`` are parts of it.
    """

    logits: Tensor | None
    loss: Tensor
    text_loss: Tensor
    cell_loss: Tensor
    cells_right: Tensor


class Network(nn.Module):
    """Idefics3, and heads that are dropped after training.

    From each patch, the class and the colour of the cells it covers and how far along its line a letter is;
    from each token to be said, where in the picture that is which it stands for; from a thing's name in a
    question, where it is and which colour it has.
    """

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
        self.order = nn.Linear(vision.hidden_size, (1 + ORDERS) * self.cells_per_patch**2)
        self.tints = nn.Linear(vision.hidden_size, (1 + len(COLOURS)) * self.cells_per_patch**2)
        self.cells_per_side = self.patches_per_side * self.cells_per_patch
        text: Any = config.text_config
        self.places = nn.Linear(text.hidden_size, 2 * self.cells_per_side)
        self.hues = nn.Linear(text.hidden_size, len(COLOURS))
        self._patches: Tensor | None = None
        self._tokens: Tensor | None = None
        self.language.model.vision_model.register_forward_hook(self._keep_patches)
        self.language.model.text_model.layers[LAYERS_BEFORE_PLACES - 1].register_forward_hook(
            self._keep_tokens
        )

    def _keep_patches(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._patches = output.last_hidden_state  # type: ignore[attr-defined]

    def _keep_tokens(self, _module: nn.Module, _inputs: object, output: object) -> None:
        self._tokens = output[0] if isinstance(output, tuple) else output  # type: ignore[assignment]

    def forward(self, batch: Batch) -> Guess:
        """Guess the tokens and the cells of a batch; of pages, only the cells."""
        pixels = batch.tiles.float().div_(127.5).sub_(1)
        logits = None
        text_loss = place_loss = hue_loss = pixels.new_zeros(())
        if batch.token_ids.shape[1] == 0:
            self.language.model.vision_model(pixel_values=pixels[:, 0])
        else:
            pixels *= batch.has_tile[:, :, None, None, None]
            mask, positions = see(batch.segments)
            logits = self.language(
                input_ids=batch.token_ids, pixel_values=pixels, attention_mask=mask, position_ids=positions
            ).logits
            wanted = batch.labels[:, 1:].flatten()
            losses = nn.functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), wanted, ignore_index=NO_LABEL, reduction="none"
            )
            weights = batch.weights[:, 1:].flatten() * (wanted != NO_LABEL)
            text_loss = (losses * weights).sum() / weights.sum()
            place_loss = self._place_loss(batch)
            hue_loss = self._hue_loss(batch)
        cell_loss, is_right = self._patch_loss(self.cells, CLASSES, batch.cells)
        order_loss, _ = self._patch_loss(self.order, 1 + ORDERS, batch.order)
        tints = batch.tints.masked_fill(batch.tints == 0, NO_LABEL)
        tint_loss, _ = self._patch_loss(self.tints, 1 + len(COLOURS), tints)
        loss = text_loss + cell_loss + ORDER_SHARE * order_loss + TINT_SHARE * tint_loss
        loss = loss + PLACE_SHARE * place_loss + HUE_SHARE * hue_loss
        return Guess(logits, loss, text_loss, cell_loss, is_right.detach())

    def _patch_loss(self, head: nn.Linear, classes: int, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a head on patches, and the share right of cells with something in them."""
        assert self._patches is not None
        side, cells = self.patches_per_side, self.cells_per_patch
        guessed = head(self._patches).view(-1, side, side, cells, cells, classes)
        guessed = guessed.permute(0, 1, 3, 2, 4, 5).reshape(-1, classes)
        weights = torch.ones(classes, device=guessed.device)
        weights[0] = NOTHING_WEIGHT
        wanted = wanted.flatten()
        loss = nn.functional.cross_entropy(guessed.float(), wanted, weight=weights, ignore_index=NO_LABEL)
        is_right = guessed.argmax(-1) == wanted
        return loss, is_right[wanted > 0].float().mean()

    def _place_loss(self, batch: Batch) -> Tensor:
        """Return the loss of saying in which row and which column lies what the next token stands for."""
        assert self._tokens is not None
        places = batch.places[:, 1:]
        is_placed = places != NO_LABEL
        if not bool(is_placed.any()):
            return self._tokens.new_zeros(())
        wanted = places[is_placed]
        rows, columns = self.places(self._tokens[:, :-1][is_placed]).float().chunk(2, -1)
        side = self.cells_per_side
        in_row = nn.functional.cross_entropy(rows, wanted // side)
        return in_row + nn.functional.cross_entropy(columns, wanted % side)

    def _hue_loss(self, batch: Batch) -> Tensor:
        """Return the loss of saying which colour the thing has that a token of a question names."""
        assert self._tokens is not None
        is_named = batch.hues != NO_LABEL
        if not bool(is_named.any()):
            return self._tokens.new_zeros(())
        return nn.functional.cross_entropy(self.hues(self._tokens[is_named]).float(), batch.hues[is_named])


def see(segments: Tensor) -> tuple[Tensor, Tensor]:
    """Return what each token sees, and where it stands.

    From segments [samples, tokens] come a mask to be added to scores, float32 [samples, 1, tokens, tokens],
    and positions int64 [samples, tokens]: every segment goes on from the shared beginning.
    """
    steps = torch.arange(segments.shape[1], device=segments.device)
    is_shared = segments == 0
    sees = is_shared[:, None, :] | (segments[:, None, :] == segments[:, :, None])
    sees &= steps[None, :] <= steps[:, None]
    mask = torch.zeros(sees.shape, device=segments.device).masked_fill_(~sees, -1e9)
    return mask[:, None], sees.sum(-1) - 1
