"""The KV cache's memory: one tensor of blocks per layer for keys and one for values, in the plugin's layout.

The block pool knows which block belongs to which sequence.
"""

from __future__ import annotations

import math
from typing import Any

import openvino as ov
from numpy.typing import NDArray

from smallsight.errors import OutOfResourcesError
from smallsight.graph.paged_attention import BLOCK_TOKENS


class KeyValueCache:
    """The tensors, bound to one inference request; their pages are touched on first use.

    After the ``num_blocks`` that may be allocated comes one scratch block for rows that are never read.
    """

    def __init__(self, model: ov.CompiledModel, *, num_bytes: int, min_tokens: int) -> None:
        """Plan as many blocks as fit in ``num_bytes``, but enough for one sequence of ``min_tokens``."""
        self._shapes = {
            port.get_any_name(): (port.get_element_type(), list(port.get_partial_shape())[1:])
            for port in model.inputs
            if "_cache." in port.get_any_name()
        }
        sizes = {
            name: math.prod(size.get_length() for size in shape) * kind.size
            for name, (kind, shape) in self._shapes.items()
        }
        self.bytes_per_block = sum(sizes.values())
        self.num_blocks = max(num_bytes // self.bytes_per_block, -(-min_tokens // BLOCK_TOKENS))
        self._tensors: dict[str, ov.Tensor] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes that the tensors take once every block has been used."""
        num_bytes: int = (self.num_blocks + 1) * self.bytes_per_block
        return num_bytes

    def bind(self, request: ov.InferRequest) -> None:
        """Allocate the tensors and set them on the request; raises OutOfResourcesError if they do not fit."""
        try:
            for name, (kind, shape) in self._shapes.items():
                whole = ov.Shape([self.num_blocks + 1, *(size.get_length() for size in shape)])
                self._tensors[name] = ov.Tensor(kind, whole)
                request.set_tensor(name, self._tensors[name])
        except (MemoryError, RuntimeError) as error:
            raise OutOfResourcesError(
                f"The KV cache ({self.num_bytes >> 20} MiB) does not fit in memory.",
                hint="close other programs, or choose a smaller model.",
            ) from error

    def blocks(self, name: str) -> NDArray[Any]:
        """Return one tensor's memory, [blocks, heads, tokens, head]; numpy shows bfloat16 as float16."""
        values: NDArray[Any] = self._tensors[name].data
        return values

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        for tensor in self._tensors.values():
            tensor.data[target] = tensor.data[source]
