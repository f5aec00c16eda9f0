"""Runs steps of a small decoder with an installed smallsight_kernels, and compares its code paths bit by bit.

It needs numpy only, so that it runs where nothing else of Smallsight is installed, also under an emulator.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATHS = ("plain", "avx2", "avx512", "amx", "dotprod", "i8mm")
_LAYERS, _HIDDEN, _HEADS, _KV_HEADS, _HEAD_DIM, _FFN, _VOCABULARY = 2, 128, 4, 2, 32, 192, 301
_CONTEXT, _BLOCKS, _MAX_ROWS, _GROUP = 128, 4, 64, 64
_PROMPT, _NEXT = 37, 3


def logits_of(kernels: Any, path: str, bits: int, threads: int) -> NDArray[np.float32]:  # noqa: ANN401
    """Return the logits after a prompt and each of some next tokens, [1 + next, vocabulary]."""
    values = np.random.default_rng(1)
    decoder = _decoder(kernels, path, bits, threads, values)
    embeddings_TD = values.standard_normal((_PROMPT + _NEXT, _HIDDEN), np.float32)
    logits_TV = np.empty((1 + _NEXT, _VOCABULARY), np.float32)
    table, hidden_1D = np.arange(_BLOCKS, dtype=np.int32), np.empty((1, _HIDDEN), np.float32)
    begin = 0
    for number, end in enumerate([_PROMPT, *range(_PROMPT + 1, _PROMPT + _NEXT + 1)]):
        piece = np.array([[end - begin, begin, 0, 0, 1]], np.int32)
        decoder.run(embeddings_TD[begin:end], piece, table, logits_TV[number : number + 1], hidden_1D)
        begin = end
    return logits_TV


def _decoder(kernels: Any, path: str, bits: int, threads: int, values: np.random.Generator) -> Any:  # noqa: ANN401
    frequencies = (1e4 ** -(np.arange(0, _HEAD_DIM, 2) / _HEAD_DIM)).astype(np.float32)
    sizes = _LAYERS, _HIDDEN, _HEADS, _KV_HEADS, _HEAD_DIM, _FFN, _VOCABULARY, _CONTEXT
    decoder = kernels.Decoder(*sizes, 1e-5, "gated", frequencies, _MAX_ROWS, threads, path)
    nothing = np.empty(0, np.float32)

    def matrix(outputs: int, inputs: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        groups = inputs // _GROUP
        codes = values.integers(0, 256, (outputs, groups, _GROUP * bits // 8), np.uint8)
        codes[codes == 0x80] = 0  # -128, which no code of 8 bits is
        scales = np.full((outputs, groups, 1), 2e-3 if bits == 8 else 3e-2, np.float16)
        return codes, scales.view(np.uint16)

    def norm() -> NDArray[np.float32]:
        return values.uniform(0.5, 1.5, _HIDDEN).astype(np.float32)

    attended = _HEADS * _HEAD_DIM
    for layer in range(_LAYERS):
        matrices = [
            matrix(attended + 2 * _KV_HEADS * _HEAD_DIM, _HIDDEN),
            matrix(_HIDDEN, attended),
            matrix(2 * _FFN, _HIDDEN),
            matrix(_HIDDEN, _FFN),
        ]
        decoder.set_layer(layer, [norm(), norm()], matrices, [nothing] * 4)
        caches = [np.zeros((_BLOCKS, _KV_HEADS, 32 * _HEAD_DIM), np.uint16) for _ in range(2)]
        decoder.set_cache(layer, *caches)
    decoder.set_head([norm()], *matrix(_VOCABULARY, _HIDDEN), nothing)
    return decoder


def resized(kernels: Any, path: str) -> bytes:  # noqa: ANN401
    """Return the pixels of a small picture of noise, made smaller."""
    pixels = np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8)
    out = np.empty((32, 40, 3), np.uint8)
    kernels.resize(pixels, out, True, 2, path)
    return out.tobytes()


def main() -> int:
    """Print what each path of this processor computes; 1 if one differs from the plain one."""
    kernels = importlib.import_module("smallsight_kernels")
    print(f"smallsight_kernels: interface {kernels.INTERFACE}, {kernels.path_name('auto')} is the fastest")
    differing = 0
    for bits in (8, 4):
        expected_TV = logits_of(kernels, "plain", bits, 1)
        if not np.isfinite(expected_TV).all() or np.ptp(expected_TV) == 0:
            print(f"plain, {bits} bits: no usable logits")
            differing += 1
        for path in filter(kernels.path_name, PATHS):
            is_equal = logits_of(kernels, path, bits, 2).tobytes() == expected_TV.tobytes()
            print(f"{path}, {bits} bits, 2 threads: {'the same bits' if is_equal else 'DIFFERENT'}")
            differing += not is_equal
    is_equal = resized(kernels, "auto") == resized(kernels, "plain")
    print(f"resizing: {'the same pixels' if is_equal else 'DIFFERENT'}")
    print(f"encoder: {kernels.encoder_path_name('auto')} is the fastest")
    differing += not is_equal
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
