"""Computes prompts and generated tokens with the extension smallsight-kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.engine import LoadRequest
from smallsight.engine.native.native_cache import NativeCache
from smallsight.families.step_decoder import DecoderLayerWeights, StepDecoder
from smallsight.graph.known_speeds import SpeedComparison
from smallsight.machine.cores import usable_cores
from smallsight.machine.extension import NAME, find_extension
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored
from smallsight.quant.grouped import Code, GroupedMatrix

log = get_logger(__name__)

MAX_PIECES = 16  # of one call
USUAL_ROWS = 272  # of one call: a chunk of a prompt and the next tokens of other sequences
_LANES = 16  # sizes must be multiples of it
_LARGEST_HEAD_DIM = 256


class NativeRunner:
    """Implements ``decoding.runner.Runner``. Used by one thread at a time.

    Every token is computed independently of others, with the same bits in any call, so pieces are cut and
    joined freely; only a prefix that attends in both directions stays whole.
    """

    row_bands = RowBands()

    def __init__(self, decoder: Any, cache: NativeCache, model: StepDecoder) -> None:  # noqa: ANN401
        """Use the extension's decoder, bound to the cache."""
        self.num_blocks = cache.num_blocks
        self._cache = cache
        self._decoder = decoder
        self._max_rows = most_rows(model)
        self._logits_RV = np.empty((MAX_PIECES, model.sizes.vocabulary), np.float32)
        self._hidden_RD = np.empty((MAX_PIECES, model.sizes.hidden), np.float32)

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self._cache.copy_block(source, target)

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:  # noqa: ARG002
        """Compute the pieces; no row needs companions, so ``extra_logit_rows`` is 0."""
        wanted = [
            step for step in steps if step.block_table[0] != self.num_blocks
        ]  # others only fill up a call
        calls = list(self._calls(wanted))
        if len(calls) == 1:
            return self._call(calls[0])
        outputs = [self._call(call, copies=True) for call in calls]
        hidden = [output.hidden_RD for output in outputs if output.hidden_RD is not None]
        return StepOutput(np.concatenate([output.logits_RV for output in outputs]), np.concatenate(hidden))

    def take_seconds(self) -> list[float]:
        """Return the seconds spent in each part of a step since the last call, for benchmarks."""
        seconds: list[float] = self._decoder.take_seconds()
        return seconds

    def _calls(self, steps: Sequence[StepInput]) -> Iterator[list[StepInput]]:
        """Distribute the pieces to calls, in order, and cut those that do not fit."""
        call: list[StepInput] = []
        room = self._max_rows
        for step in steps:
            rest: StepInput | None = step
            while rest is not None:
                if len(call) == MAX_PIECES or (
                    room < len(rest.embeddings_TD) and not _may_be_cut(rest, room)
                ):
                    yield call
                    call, room = [], self._max_rows
                piece, rest = _cut(rest, room)
                call.append(piece)
                room -= len(piece.embeddings_TD)
        yield call

    def _call(self, steps: Sequence[StepInput], *, copies: bool = False) -> StepOutput:
        tables = [np.asarray(step.block_table, np.int32) for step in steps]
        begins = np.cumsum([0, *map(len, tables)])[:-1]
        numbers = [
            (len(step.embeddings_TD), step.begin, step.prefix_tokens, begin, step.wants_logits)
            for step, begin in zip(steps, begins, strict=True)
        ]
        self._decoder.run(
            np.concatenate([step.embeddings_TD for step in steps]),
            np.array(numbers, np.int32),
            np.concatenate(tables),
            self._logits_RV,
            self._hidden_RD,
        )
        num_wanting = sum(step.wants_logits for step in steps)
        logits_RV, hidden_RD = self._logits_RV[:num_wanting], self._hidden_RD[:num_wanting]
        return StepOutput(logits_RV.copy(), hidden_RD.copy()) if copies else StepOutput(logits_RV, hidden_RD)


def _may_be_cut(step: StepInput, room: int) -> bool:
    return room > 0 and step.begin >= step.prefix_tokens


def _cut(step: StepInput, room: int) -> tuple[StepInput, StepInput | None]:
    """Return as much of a piece as fits, and the rest."""
    if len(step.embeddings_TD) <= room:
        return step, None
    first, second = step.embeddings_TD[:room], step.embeddings_TD[room:]
    return (
        StepInput(first, step.begin, step.block_table, wants_logits=False, prefix_tokens=step.prefix_tokens),
        StepInput(second, step.begin + room, step.block_table, step.wants_logits, step.prefix_tokens),
    )


def native_runner(
    model: StepDecoder | None,
    request: LoadRequest,
    compare: Callable[[], SpeedComparison | None] | None = None,
) -> NativeRunner | None:
    """Return a runner that computes with the extension, or None with a line in the log about why not.

    ``compare`` is called where the extension can compute the model. Raises OutOfResourcesError.
    """
    if not may_compute(model, request, compare) or model is None:
        return None
    cache = NativeCache(model.sizes, num_bytes=request.options.cache_bytes)
    decoder = bind_decoder(model, cache.layers(), request.threads or usable_cores())
    return NativeRunner(decoder, cache, model)


def may_compute(
    model: StepDecoder | None,
    request: LoadRequest,
    compare: Callable[[], SpeedComparison | None] | None = None,
) -> bool:
    """Return whether the extension computes a family's decoder, with a line in the log.

    The extension rounds activations to 8 bits; a scheme that computes in f32 does not use it.
    """
    if not request.options.uses_kernels:
        return False
    extension = find_extension()
    reason = extension.reason or ("the family has another decoder" if model is None else _obstacle(model))
    if not reason and request.scheme.arithmetic == "f32":
        reason = "the scheme computes in f32"
    if not reason and is_slower(compare):
        reason = "OpenVINO is faster on this machine"
    if reason:
        log.info("kernels_not_used", reason=reason, action="computing text with OpenVINO")
    else:
        log.info("kernels_used", path=extension.path)
    return not reason


def is_slower(compare: Callable[[], SpeedComparison | None] | None) -> bool:
    """Return whether a comparison was made that the extension lost."""
    found = None if compare is None else compare()
    return found is not None and not found.extension_is_faster


def most_rows(model: StepDecoder) -> int:
    """Return the most tokens that one call computes: a usual call, or a whole prefix."""
    return max(USUAL_ROWS, -(-model.sizes.prefix_tokens // _LANES) * _LANES)


def _obstacle(model: StepDecoder) -> str:
    """Return why the extension cannot compute this decoder; empty if it can."""
    sizes = model.sizes
    if any(size % _LANES for size in (sizes.hidden, sizes.ffn, sizes.head_dim)):
        return f"its sizes are not multiples of {_LANES}"
    if sizes.head_dim > _LARGEST_HEAD_DIM:
        return f"its heads have more than {_LARGEST_HEAD_DIM} values"
    layers = [model.layer(index) for index in range(sizes.layers)]
    if not all(_is_supported(matrix) for layer in layers for matrix in layer.matrices):
        return "its weights are not integers of 8 or 4 bits in groups"
    return "" if _is_supported(model.head) else "its head is not in integers of 8 or 4 bits in groups"


def _is_supported(stored: Stored) -> bool:
    return isinstance(stored, GroupedMatrix) and stored.code in (Code.INT8, Code.INT4)


def bind_decoder(
    model: StepDecoder, caches: Sequence[Sequence[NDArray[Any]]], threads: int, path: str = "auto"
) -> Any:  # noqa: ANN401 - the extension's
    """Pack the weights into the extension's decoder; ``caches`` are each layer's keys and values.

    They are in the order of ``native_cache``. Raises ModuleNotFoundError.
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
        sizes.kind,
        sizes.frequencies(),
        most_rows(model),
        threads,
        path,
    )
    for index in range(sizes.layers):
        layer = model.layer(index)
        decoder.set_layer(index, *_layer_arguments(layer))
        decoder.set_cache(index, *caches[index])
    bias = np.empty(0, np.float32) if model.head_bias is None else _vector(model.head_bias)
    decoder.set_head([_vector(one) for one in model.norm], *_codes(model.head), bias)
    return decoder


def _layer_arguments(layer: DecoderLayerWeights) -> tuple[list[Any], list[Any], list[Any]]:
    biases = layer.biases or (np.empty(0, np.float32),) * len(layer.matrices)
    return (
        [_vector(one) for one in layer.norms],
        [_codes(one) for one in layer.matrices],
        [_vector(one) for one in biases],
    )


def _vector(stored: Stored) -> NDArray[np.float32]:
    return np.ascontiguousarray(stored, np.float32)


def _codes(stored: Stored) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    if not isinstance(stored, GroupedMatrix):
        raise TypeError(type(stored).__name__)
    return stored.codes.view(np.uint8), stored.scales.view(np.uint16)
