"""Computes generated tokens with the extension and prompts with OpenVINO, over one KV cache."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.decoding.shared_calls import run_step
from smallsight.engine.native.cores import usable_cores
from smallsight.engine.native.extension import NAME, find_extension
from smallsight.engine.openvino.kv_cache import KeyValueCache
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.families.llama_decoder import LlamaDecoder
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored
from smallsight.quant.grouped import Code, GroupedMatrix

log = get_logger(__name__)

_LANES = 16  # sizes must be multiples of it
_LARGEST_HEAD_DIM = 256


class NativeRunner:
    """Implements ``decoding.runner.Runner``. Used by one thread at a time.

    Pieces of one token are computed by the extension, each independently of the others, and longer ones by
    OpenVINO in its row bands. So the way a token is computed depends on its own piece only.
    """

    row_bands = RowBands()

    def __init__(self, prompts: PagedRunner, decoder: Any, sizes: tuple[int, int]) -> None:  # noqa: ANN401
        """Use the extension's decoder, bound to the cache; ``sizes`` are its most rows and vocabulary."""
        self.num_blocks = prompts.num_blocks
        self._prompts = prompts
        self._decoder = decoder
        self._max_rows = sizes[0]
        self._logits_RV = np.empty(sizes, np.float32)

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self._prompts.copy_block(source, target)

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:  # noqa: ARG002
        """Compute the pieces; no row needs companions, so ``extra_logit_rows`` is 0."""
        wanted = [step for step in steps if not self._is_companion(step)]
        lone = [step for step in wanted if len(step.embeddings_TD) == 1]
        longer = [step for step in wanted if len(step.embeddings_TD) > 1]
        rows: dict[int, NDArray[np.float32]] = {}
        if longer:
            output = run_step(self._prompts, longer)
            logits = iter(output.logits_RV)
            rows |= {id(step): next(logits) for step in longer if step.wants_logits}
        if not rows and 0 < len(lone) <= self._max_rows and all(step.wants_logits for step in lone):
            return StepOutput(self._decode(lone))
        for begin in range(0, len(lone), self._max_rows):
            some = lone[begin : begin + self._max_rows]
            rows |= {id(step): row for step, row in zip(some, self._decode(some).copy(), strict=True)}
        found = [rows[id(step)] for step in wanted if step.wants_logits]
        return StepOutput(np.stack(found) if found else self._logits_RV[:0])

    def take_seconds(self) -> list[float]:
        """Return the seconds spent in each part of a step since the last call, for benchmarks."""
        seconds: list[float] = self._decoder.take_seconds()
        return seconds

    def _is_companion(self, step: StepInput) -> bool:
        """Return whether a piece only fills up a call: it lies in the scratch block."""
        return step.block_table[0] == self.num_blocks

    def _decode(self, steps: Sequence[StepInput]) -> NDArray[np.float32]:
        tables = [np.asarray(step.block_table, np.int32) for step in steps]
        self._decoder.run(
            np.concatenate([step.embeddings_TD for step in steps]),
            np.array([step.begin for step in steps], np.int32),
            np.concatenate(tables),
            np.cumsum([0, *map(len, tables)])[:-1].astype(np.int32),
            self._logits_RV,
        )
        return self._logits_RV[: len(steps)]


def with_kernels(
    prompts: PagedRunner, model: LlamaDecoder | None, threads: int, *, rounds_activations: bool = True
) -> PagedRunner | NativeRunner:
    """Return a runner that decodes with the extension, or ``prompts`` with a line in the log about why not.

    The extension rounds activations to 8 bits; without ``rounds_activations`` it is not used.
    """
    extension = find_extension()
    reason = extension.reason or ("the family has another decoder" if model is None else _obstacle(model))
    if not reason and not rounds_activations:
        reason = "the scheme computes in f32"
    if extension.module is None or model is None or reason:
        log.warning("kernels_not_used", reason=reason, action="decoding with OpenVINO")
        return prompts
    caches = [_cache_of(prompts.cache, layer) for layer in range(model.sizes.layers)]
    decoder = bind_decoder(model, caches, threads or usable_cores())
    log.info("kernels_used", path=extension.path)
    return NativeRunner(prompts, decoder, (extension.module.MAX_ROWS, model.sizes.vocabulary))


def _obstacle(model: LlamaDecoder) -> str:
    """Return why the extension cannot compute this decoder; empty if it can."""
    sizes = model.sizes
    if any(size % _LANES for size in (sizes.hidden, sizes.ffn, sizes.head_dim)):
        return f"its sizes are not multiples of {_LANES}"
    if sizes.head_dim > _LARGEST_HEAD_DIM:
        return f"its heads have more than {_LARGEST_HEAD_DIM} values"
    matrices = [model.stored["head.weight"]]
    matrices += [model.layer(index, name) for index in range(sizes.layers) for name in model.MATRICES]
    if not all(_is_supported(matrix) for matrix in matrices):
        return "its weights are not integers of 8 or 4 bits in groups"
    return ""


def _is_supported(stored: Stored) -> bool:
    return isinstance(stored, GroupedMatrix) and stored.code in (Code.INT8, Code.INT4)


def bind_decoder(
    model: LlamaDecoder, caches: Sequence[Sequence[NDArray[Any]]], threads: int, path: str = "auto"
) -> Any:  # noqa: ANN401 - the extension's
    """Pack the weights into the extension's decoder; ``caches`` are each layer's keys and values.

    They are float32 or the bits of bfloat16, [blocks, kv heads, 32, head]. Raises ModuleNotFoundError.
    """
    sizes = model.sizes
    decoder = importlib.import_module(NAME).Decoder(
        sizes.layers,
        sizes.hidden,
        sizes.heads,
        sizes.kv_heads,
        sizes.head_dim,
        sizes.ffn,
        sizes.vocabulary,
        sizes.context_tokens,
        sizes.norm_epsilon,
        sizes.frequencies(),
        threads,
        path,
    )
    for index in range(sizes.layers):
        norms = [_vector(model.layer(index, name)) for name in ("attention_norm", "ffn_norm")]
        decoder.set_layer(index, *norms, [_codes(model.layer(index, name)) for name in model.MATRICES])
        decoder.set_cache(index, *caches[index])
    decoder.set_head(_vector(model.stored["text.norm.weight"]), *_codes(model.stored["head.weight"]))
    return decoder


def _vector(stored: Stored) -> NDArray[np.float32]:
    return np.ascontiguousarray(stored, np.float32)


def _codes(stored: Stored) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    if not isinstance(stored, GroupedMatrix):
        raise TypeError(type(stored).__name__)
    return stored.codes.view(np.uint8), stored.scales.view(np.uint16)


def _cache_of(cache: KeyValueCache, layer: int) -> list[NDArray[Any]]:
    """Return a layer's keys and values as arrays over the cache's memory; bfloat16 as bits."""
    found = [cache.blocks(f"{side}_cache.{layer}") for side in ("key", "value")]
    return [blocks.view(np.uint16) if blocks.itemsize == 2 else blocks for blocks in found]
