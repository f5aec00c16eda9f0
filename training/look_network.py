"""What is trained of Smallsight-tiny-looks: a pooling head over the tower's patches, and a text encoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LookSizes:
    """The sizes of head and text encoder; the vectors are as wide as the tower."""

    vocabulary: int
    width: int = 192
    patches: int = 144
    pool_heads: int = 12
    pool_ffn: int = 768
    text_hidden: int = 128
    text_ffn: int = 256
    text_layers: int = 2
    text_heads: int = 4
    text_positions: int = 12


class Layer(nn.Module):
    """An encoder layer as SigLIP has it: attention and two linear layers, each normalised before."""

    def __init__(self, width: int, ffn: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.layer_norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.layer_norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)

    def forward(self, hidden: Tensor, *, only_last: bool = False) -> Tensor:
        """Return [sequences, tokens, width], or of the last token alone, [sequences, 1, width]."""
        count, _, width = hidden.shape
        size = width // self.heads
        normed = self.layer_norm1(hidden)
        if only_last:
            hidden = hidden[:, -1:]
        of_query, of_rest = self.qkv.weight[:width], self.qkv.weight[width:]
        bias_query, bias_rest = self.qkv.bias[:width], self.qkv.bias[width:]
        query = nn.functional.linear(normed[:, -1:] if only_last else normed, of_query, bias_query)
        query = query.view(count, -1, self.heads, size).transpose(1, 2)
        joined = nn.functional.linear(normed, of_rest, bias_rest).view(count, -1, 2, self.heads, size)
        key, value = joined.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(size)
        attended = (scores.softmax(-1) @ value).transpose(1, 2).reshape(count, -1, width)
        hidden = hidden + self.out_proj(attended)
        widened = nn.functional.gelu(self.fc1(self.layer_norm2(hidden)), approximate="tanh")
        changed: Tensor = hidden + self.fc2(widened)
        return changed


class Pool(nn.Module):
    """One learnt query attends to all patches; then two linear layers.

    The query is the same for every picture, so each head's keys are one vector, and the patches are summed
    before they are multiplied: the same result as of attention as it is usually written, for much less work.
    """

    def __init__(self, sizes: LookSizes) -> None:
        super().__init__()
        width, self.heads = sizes.width, sizes.pool_heads
        self.probe = nn.Parameter(torch.randn(width) * 0.5)
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.layernorm = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, sizes.pool_ffn)
        self.fc2 = nn.Linear(sizes.pool_ffn, width)

    def forward(self, patches: Tensor) -> Tensor:
        """Return [pictures, width] from [pictures, patches, width]."""
        width = patches.shape[-1]
        of_query, of_key, of_value = self.in_proj.weight.chunk(3)
        bias_query, _, bias_value = self.in_proj.bias.chunk(3)
        query = (of_query @ self.probe + bias_query).view(self.heads, -1)
        keys = torch.einsum("he,hew->hw", query, of_key.view(self.heads, -1, width))
        scores = patches @ keys.T / math.sqrt(width // self.heads)
        pooled = torch.einsum("nph,npw->nhw", scores.softmax(1), patches)
        values = torch.einsum("nhw,hew->nhe", pooled, of_value.view(self.heads, -1, width))
        attended = self.out_proj(values.reshape(len(patches), width) + bias_value)
        widened = nn.functional.gelu(self.fc1(self.layernorm(attended)), approximate="tanh")
        pooled_vectors: Tensor = attended + self.fc2(widened)
        return pooled_vectors


class TextEncoder(nn.Module):
    """A small bidirectional transformer; the last position stands for the text."""

    def __init__(self, sizes: LookSizes) -> None:
        super().__init__()
        self.table = nn.Embedding(sizes.vocabulary, sizes.text_hidden)
        nn.init.normal_(self.table.weight, std=0.5)
        self.positions = nn.Parameter(torch.randn(sizes.text_positions, sizes.text_hidden) * 0.1)
        self.layers = nn.ModuleList(
            Layer(sizes.text_hidden, sizes.text_ffn, sizes.text_heads) for _ in range(sizes.text_layers)
        )
        self.norm = nn.LayerNorm(sizes.text_hidden, eps=1e-6)
        self.head = nn.Linear(sizes.text_hidden, sizes.width)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return [texts, width] from [texts, positions]."""
        hidden = self.table(token_ids) + self.positions
        for layer in self.layers[:-1]:
            hidden = layer(hidden)
        hidden = self.layers[-1](hidden, only_last=True)
        vectors: Tensor = self.head(self.norm(hidden[:, -1]))
        return vectors


class Looks(nn.Module):
    """Both halves, and the scale and bias that turn a cosine into the logit of belonging together."""

    def __init__(self, sizes: LookSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.pool = Pool(sizes)
        self.text = TextEncoder(sizes)
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-4.0))

    def pictures(self, patches: Tensor) -> Tensor:
        """Return unit vectors [pictures, width] of patches [pictures, patches, width]."""
        return nn.functional.normalize(self.pool(patches), dim=-1)

    def texts(self, token_ids: Tensor) -> Tensor:
        """Return unit vectors [texts, width]."""
        return nn.functional.normalize(self.text(token_ids), dim=-1)

    def logits(self, pictures: Tensor, texts: Tensor) -> Tensor:
        """Return [pictures, texts]."""
        return pictures @ texts.T * self.scale.exp() + self.bias
