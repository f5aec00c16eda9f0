"""How much memory a model takes in each precision, computed from its tensor shapes.

Owns the arithmetic of storage, not the schemes and forms themselves: those are in ``smallsight.quant``. The
functions visit every tensor; frequent callers use ``Footprints``, which caches the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smallsight.catalog.checkpoint import open_checkpoint
from smallsight.catalog.entry import Entry, Precision
from smallsight.errors import OutOfResourcesError
from smallsight.families.registry import find_family, tensor_shapes
from smallsight.families.tensor_shape import Role, TensorShape, Use
from smallsight.inventory.known_model import KnownModel
from smallsight.machine.processor import multiplies_bf16
from smallsight.quant.scheme import SCHEMES, Module, Scheme

_FLOAT_BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.BF16: 2}
_HALF_PRECISIONS = (Precision.FP16, Precision.BF16)
_FLOAT32_COPIES = 2  # of 16-bit weights, without instructions for them
_KEPT_BYTES = 2  # norms, biases, convolutions and positions beside quantised weights
_GROUP = 64
_NF4_SCALES_PER_GROUP = 256
_BITS: Mapping[Precision, int] = {
    Precision.FP32: 32,
    Precision.FP16: 16,
    Precision.BF16: 16,
    Precision.INT8: 8,
    Precision.INT4: 4,
    Precision.NF4: 4,
}
_GIB = 1024**3
_ROW = 1024  # values that share a row, where shapes are not known
_MAX_CACHED = 256
_PROGRAM_BYTES = 512 * 1024**2  # an allowance for the program, its runtime and activations, not a measurement


def parameter_count(entry: Entry) -> int | None:
    """Return how many parameters the entry's network has, or None for a model without weights."""
    if entry.architecture is None:
        return None
    return sum(tensor.num_values for tensor in tensor_shapes(entry.architecture))


def weights_bytes(entry: Entry, precision: Precision) -> int:
    """Return the bytes that the entry's weights take when loaded in this precision; 0 without weights.

    int8 and int4 are this package's schemes, with the modules that the family keeps in 16 bits.
    """
    if entry.architecture is None:
        return 0
    if precision in (Precision.INT8, Precision.INT4):
        return scheme_bytes(entry, SCHEMES[precision.value])
    return sum(tensor_bytes(tensor, precision) for tensor in tensor_shapes(entry.architecture))


def tensor_bytes(tensor: TensorShape, precision: Precision) -> int:
    """Return the bytes of one tensor in a floating-point precision or in NF4, its scales included.

    NF4 has an 8-bit scale per 64 values with a 32-bit one per 256 of those (double quantisation), and keeps
    token tables and the head in 16 bits.
    """
    if precision is Precision.NF4:
        return _nf4_bytes(tensor)
    return tensor.num_values * _FLOAT_BYTES[precision]


def scheme_tensor_bytes(tensor: TensorShape, scheme: Scheme) -> int:
    """Return the bytes of one tensor in a scheme.

    A token table counts in the head's form: a tied head is a copy of it, while the table itself stays in the
    checkpoint's file. Coordinate heads keep 16 bits.
    """
    if tensor.use is Use.OTHER or tensor.role is Role.REGION:
        return tensor.num_values * _KEPT_BYTES
    module = Module.HEAD if tensor.use is Use.LOOKUP else Module(tensor.role)
    rows, columns = tensor.shape
    return scheme.modules[module].matrix_bytes(rows, columns)


def scheme_bytes(entry: Entry, scheme: Scheme) -> int:
    """Return the bytes of the entry's weights in this scheme, as its family adapts it; 0 without weights."""
    if entry.architecture is None:
        return 0
    scheme = find_family(entry.family).adapted(scheme)
    return sum(scheme_tensor_bytes(tensor, scheme) for tensor in tensor_shapes(entry.architecture))


def running_bytes(
    entry: Entry, precision: Precision, scheme: Scheme | None = None, *, has_bf16: bool | None = None
) -> int:
    """Estimate the memory of answering: weights, the KV cache of a full context, and the program.

    ``has_bf16`` says whether the processor multiplies bfloat16; None means this machine's. Where it does not,
    the runtime computes in float32 and holds 16-bit weights twice in it: widened, and packed for its kernels
    (openvino 2026.4.1; SmolVLM-256M took 1.9 GiB in bf16, 1.0 GiB in fp32, on an AMD EPYC with AVX2).
    """
    if entry.architecture is None:
        return 0
    cache_bytes = find_family(entry.family).kv_cache_bytes(entry.architecture.sizes)
    if scheme is not None:
        weights = scheme_bytes(entry, scheme)
    elif precision in _HALF_PRECISIONS and not (multiplies_bf16() if has_bf16 is None else has_bf16):
        weights = _FLOAT32_COPIES * weights_bytes(entry, Precision.FP32)
    else:
        weights = weights_bytes(entry, precision)
    return weights + cache_bytes + _PROGRAM_BYTES


def weights_in_scheme(model: KnownModel, scheme: Scheme, model_types: Mapping[str, str]) -> int:
    """Predict the bytes of a model's weights in a scheme; 0 without weights.

    Reads the headers of a folder's weight files; raises BrokenCheckpointError when they are damaged.
    """
    if model.directory is None:
        return 0
    if model.entry is not None:
        return scheme_bytes(model.entry, scheme)
    return _folder_bytes(open_checkpoint(model.directory, model_types).num_parameters, scheme)


class Footprints:
    """The memory that models need, computed once for each model, and again when its files have changed."""

    def __init__(self, model_types: Mapping[str, str]) -> None:
        """``model_types`` maps "model_type" of config.json to a family."""
        self._model_types = model_types
        self._known: dict[tuple[str, Path | None, str, Precision | None, str], int] = {}

    def needed_bytes(self, model: KnownModel, precision: Precision | None) -> int:
        """Return the memory of answering, for a folder only that of its weights; 0 without weights.

        Reads the headers of a folder's weight files; raises BrokenCheckpointError when they are damaged.
        """
        scheme = "" if model.scheme is None else model.scheme.identity
        key = model.name, model.directory, model.files_mark, precision, scheme
        if (known := self._known.get(key)) is not None:
            return known
        num_bytes = self._needed_bytes(model, precision)
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        self._known[key] = num_bytes
        return num_bytes

    def _needed_bytes(self, model: KnownModel, precision: Precision | None) -> int:
        if model.directory is None or precision is None:
            return 0
        if model.entry is not None:
            return running_bytes(model.entry, precision, model.scheme)
        if model.scheme is not None:
            return weights_in_scheme(model, model.scheme, self._model_types)
        checkpoint = open_checkpoint(model.directory, self._model_types)
        return checkpoint.num_parameters * _BITS[precision] // 8


def _folder_bytes(num_parameters: int, scheme: Scheme) -> int:
    """Estimate the weights of a network whose shapes are not known, from its largest modules' forms."""
    forms = (scheme.modules[Module.VISION], scheme.modules[Module.TEXT])
    return max(form.matrix_bytes(-(-num_parameters // _ROW), _ROW) for form in forms)


def require_memory(
    model: KnownModel, precision: Precision, needed_bytes: int, *, usable_bytes: int, free_bytes: int
) -> None:
    """Raise OutOfResourcesError if a model does not fit in all usable memory, or in the free part of it."""
    if needed_bytes <= min(usable_bytes, free_bytes):
        return
    needs = f"{model.name} in {precision.value} needs about {needed_bytes / _GIB:.1f} GiB of memory"
    if needed_bytes > usable_bytes:
        raise OutOfResourcesError(
            f"{needs}, and this machine has {usable_bytes / _GIB:.1f} GiB.",
            hint="load it in int8, or choose one that fits: `smallsight models` shows which do.",
        )
    raise OutOfResourcesError(
        f"{needs}, and {free_bytes / _GIB:.1f} GiB are free.",
        hint="close other programs, or load it in int8.",
    )


def _nf4_bytes(tensor: TensorShape) -> int:
    if tensor.use is not Use.LINEAR or tensor.role is Role.HEAD:
        return tensor.num_values * _KEPT_BYTES
    num_scales = -(-tensor.num_values // _GROUP)
    return -(-tensor.num_values // 2) + num_scales + 4 * -(-num_scales // _NF4_SCALES_PER_GROUP)
