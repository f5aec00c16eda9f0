"""The memory of keys and values: one tensor of blocks for each layer and side, laid out as the plugin wants.

Which block belongs to which sequence is known only to the block pool.
"""

from __future__ import annotations

import math

import openvino as ov

from smallsight.errors import OutOfResourcesError
from smallsight.graph.paged_attention import BLOCK_TOKENS


class KeyValueCache:
    """The tensors, bound to one request for as long as both live; pages are touched when first used.

    Behind the ``num_blocks`` that may be given out lies one more, to be written by what nobody reads.
    """

    def __init__(self, model: ov.CompiledModel, *, num_bytes: int, min_tokens: int) -> None:
        """Make as many blocks as fit ``num_bytes``, but enough for one sequence of ``min_tokens``."""
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
        """What the tensors take once every block has been used."""
        num_bytes: int = (self.num_blocks + 1) * self.bytes_per_block
        return num_bytes

    def bind(self, request: ov.InferRequest) -> None:
        """Make the tensors and give them to the request; raises OutOfResourcesError when they do not fit."""
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

    def copy_block(self, source: int, target: int) -> None:
        """Copy what one block holds into another, in every layer."""
        for tensor in self._tensors.values():
            tensor.data[target] = tensor.data[source]
