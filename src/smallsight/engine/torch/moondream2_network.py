"""moondream2's networks as torch modules: tower and connector, decoder, and decoders of numbers.

Source: vikhyat/moondream 8ac77eb, torch/{vision,text,rope,region}.py. The graphs of ``families.moondream2``
compute the same. Modules are made of layers that a ``LayerSource`` has filled already, so that a checkpoint
is loaded tensor by tensor.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from smallsight.engine.torch.paged_attention import PagedStep, attend
from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.region import NumberKind
from smallsight.quant.scheme import Module

NORM_EPSILON = 1e-5
ROPE_THETA = 10_000.0


class LayerSource(Protocol):
    """Makes layers of a checkpoint's tensors, each once, on the device where they are used."""

    def linear(self, name: str, module: Module | None) -> nn.Module:
        """Return a linear layer in the form of its module; without a module it is never quantised."""
        ...

    def norm(self, name: str, epsilon: float) -> nn.LayerNorm:
        """Return a layer norm."""
        ...

    def tensor(self, name: str) -> Tensor:
        """Return a tensor that does not belong to a layer."""
        ...


class Widened(nn.Module):
    """A feed-forward network: a wider layer, GELU, and a layer back."""

    def __init__(self, source: LayerSource, up: str, down: str, module: Module | None) -> None:
        super().__init__()
        self.up, self.down = source.linear(up, module), source.linear(down, module)

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply it to the last axis."""
        return self.down(gelu(self.up(hidden), approximate="tanh"))


class CropLayer(nn.Module):
    """One layer of the tower: attention between all patches of a crop, then a feed-forward network."""

    def __init__(self, source: LayerSource, name: str, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = source.norm(f"{name}.attention_norm", NORM_EPSILON)
        self.query_key_value = source.linear(f"{name}.query_key_value", Module.VISION)
        self.output = source.linear(f"{name}.output", Module.VISION)
        self.ffn_norm = source.norm(f"{name}.ffn_norm", NORM_EPSILON)
        self.ffn = Widened(source, f"{name}.ffn_up", f"{name}.ffn_down", Module.VISION)

    def forward(self, hidden_NPD: Tensor) -> Tensor:
        """Return the hidden states after this layer."""
        crops, patches, width = hidden_NPD.shape
        joined = self.query_key_value(self.attention_norm(hidden_NPD))
        query, key, value = joined.view(crops, patches, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended_NHPE = scaled_dot_product_attention(query, key, value)
        hidden_NPD = hidden_NPD + self.output(attended_NHPE.transpose(1, 2).reshape(crops, patches, width))
        return hidden_NPD + self.ffn(self.ffn_norm(hidden_NPD))


class CropTower(nn.Module):
    """From the patches of crops to features, and from features to image tokens."""

    def __init__(self, config: Moondream2Config, source: LayerSource) -> None:
        super().__init__()
        self.patches = source.linear("vision.patches", None)  # integers would lose precision on raw pixels
        self.positions = nn.Parameter(source.tensor("vision.positions"), requires_grad=False)
        self.layers = nn.ModuleList(
            CropLayer(source, f"vision.layers.{number}", config.vision.heads)
            for number in range(config.vision.layers)
        )
        self.norm = source.norm("vision.norm", NORM_EPSILON)
        self.connector = Widened(source, "connector.up", "connector.down", Module.CONNECTOR)

    def forward(self, patches_NPC: Tensor) -> Tensor:
        """Return features [crops, patches, hidden] of patches [crops, patches, 3 * patch_px**2]."""
        hidden_NPD = self.patches(patches_NPC) + self.positions
        for layer in self.layers:
            hidden_NPD = layer(hidden_NPD)
        return self.norm(hidden_NPD)

    def connect(self, whole_PD: Tensor, stitched_PD: Tensor) -> Tensor:
        """Return image tokens [patches, text hidden]."""
        return self.connector(torch.cat([whole_PD, stitched_PD], dim=1))


class ParallelLayer(nn.Module):
    """One layer of the decoder: attention and feed-forward network side by side, after one norm."""

    def __init__(self, source: LayerSource, number: int, heads: int) -> None:
        super().__init__()
        name = f"text.layers.{number}"
        self.layer_idx, self.heads = number, heads  # ``attend`` reads the number of the layer by that name
        self.norm = source.norm(f"{name}.norm", NORM_EPSILON)
        self.query_key_value = source.linear(f"{name}.query_key_value", Module.TEXT)
        self.output = source.linear(f"{name}.output", Module.TEXT)
        self.ffn = Widened(source, f"{name}.ffn_up", f"{name}.ffn_down", Module.TEXT)

    def forward(self, hidden_TD: Tensor, angles: tuple[Tensor, Tensor], step: PagedStep) -> Tensor:
        """Return the hidden states after this layer."""
        normed_TD = self.norm(hidden_TD)
        query, key, value = self.query_key_value(normed_TD).view(len(hidden_TD), 3, self.heads, -1).unbind(1)
        turned = rotate(query, angles), rotate(key, angles), value
        query_1HTE, key_1HTE, value_1HTE = (one.transpose(0, 1)[None] for one in turned)
        attended, _ = attend(self, query_1HTE, key_1HTE, value_1HTE, None, paged=step)
        return hidden_TD + self.output(attended[0].flatten(1)) + self.ffn(normed_TD)


class ParallelDecoder(nn.Module):
    """From embedded tokens and image tokens to logits, in two parts."""

    def __init__(self, config: Moondream2Config, source: LayerSource) -> None:
        super().__init__()
        self.head = source.linear(
            "head", Module.HEAD
        )  # first, because it takes the most memory while loading
        text = config.text
        layers = [ParallelLayer(source, number, text.heads) for number in range(text.layers)]
        self.layers = nn.ModuleList(layers)
        self.devices = [layer.norm.weight.device for layer in layers]
        self.norm = source.norm("text.norm", NORM_EPSILON)
        exponents = torch.arange(0, text.rotated_dims, 2, dtype=torch.float32) / text.rotated_dims
        self.frequencies = nn.Buffer((1.0 / ROPE_THETA**exponents).to(self.devices[0]))

    def forward(self, embeddings_TD: Tensor, step: PagedStep) -> Tensor:
        """Return hidden states [tokens, hidden] before the last norm, where the last layer is."""
        angles = step.positions_T[:, None].float() * self.frequencies
        cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
        hidden_TD = embeddings_TD
        for layer, device in zip(self.layers, self.devices, strict=True):
            hidden_TD, cosines, sines = (one.to(device) for one in (hidden_TD, cosines, sines))
            hidden_TD = layer(hidden_TD, (cosines, sines), step)
        return hidden_TD

    def logits(self, hidden_RD: Tensor) -> Tensor:
        """Return logits [rows, vocabulary] of hidden states."""
        return self.head(self.norm(hidden_RD.to(self.norm.weight.device)))


class NumberDecoders(nn.Module):
    """From a hidden state to bins of a coordinate, or of a width and a height; never quantised."""

    def __init__(self, source: LayerSource) -> None:
        super().__init__()
        self.coordinate, self.size = (
            Widened(source, f"region.{kind}_decoder_up", f"region.{kind}_decoder_down", None)
            for kind in ("coordinate", "size")
        )

    def forward(self, hidden_1D: Tensor, kind: NumberKind) -> Tensor:
        """Return [1, bins]; a size's first half is the width."""
        return (self.coordinate if kind == "coordinate" else self.size)(hidden_1D)


class Moondream2Network(nn.Module):
    """All networks of one checkpoint."""

    def __init__(self, config: Moondream2Config, source: LayerSource) -> None:
        super().__init__()
        self.decoder = ParallelDecoder(config, source)
        self.tower = CropTower(config, source)
        self.numbers = NumberDecoders(source)


def part_of(name: str) -> str:
    """Return the part of the model that a parameter of ``Moondream2Network`` belongs to."""
    network, module = name.split(".")[:2]
    if network == "decoder":
        return "head" if module == "head" else "text"
    if network == "tower":
        return "connector" if module == "connector" else "vision"
    return "other"


def rotate(heads_THE: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the first dimensions of each head, paired by halves, in float32."""
    cosines, sines = angles
    half = cosines.shape[-1]
    first, second = heads_THE[..., :half], heads_THE[..., half : 2 * half]
    rotated = first * cosines - second * sines, first * sines + second * cosines
    kept = heads_THE[..., 2 * half :]
    return torch.cat([*(one.to(heads_THE.dtype) for one in rotated), kept], dim=-1)
