"""Has bitsandbytes quantise large matrices on a CPU piece by piece.

Its own way makes temporaries of up to 14 bytes a value there (0.50.2), which for one layer can be a fifth
of what a small network takes. Blocks of NF4 and rows of LLM.int8 do not depend on one another: the bits are
the same.
"""

from __future__ import annotations

from typing import Any

import torch

_PIECE = 1 << 18  # values; whole blocks of every size
_INSTALLED = "smallsight_quantises_in_pieces"


def quantise_in_pieces() -> None:
    """Replace the two functions of bitsandbytes that quantise weights, for the whole process."""
    from bitsandbytes import functional  # noqa: PLC0415 - its import takes seconds

    if hasattr(functional, _INSTALLED):
        return
    whole_4bit, whole_int8 = functional.quantize_4bit, functional.int8_vectorwise_quant

    def quantize_4bit(A: Any, *given: Any, **options: Any) -> Any:  # noqa: ANN401 - as in bitsandbytes
        if given or A.numel() <= _PIECE or A.device.type != "cpu" or {"absmax", "out"} & set(options):
            return whole_4bit(A, *given, **options)
        is_nested = options.pop("compress_statistics", False)
        pieces = [whole_4bit(one, **options) for one in A.reshape(-1).split(_PIECE)]
        codes, states = torch.cat([codes for codes, _ in pieces]), [state for _, state in pieces]
        absmax, nested = torch.cat([one.absmax for one in states]), {}
        if is_nested:
            nested["offset"] = absmax.mean()
            absmax, nested["state2"] = functional.quantize_blockwise(absmax - nested["offset"], blocksize=256)
        of_all = {name: getattr(states[0], name) for name in ("blocksize", "code", "quant_type", "dtype")}
        return codes, functional.QuantState(absmax=absmax, shape=A.shape, **of_all, **nested)

    def int8_vectorwise_quant(A: Any, threshold: float = 0.0) -> Any:  # noqa: ANN401
        rows = max(1, _PIECE // A.shape[-1])
        if threshold or len(A) <= rows or A.device.type != "cpu":
            return whole_int8(A, threshold)
        pieces = [whole_int8(one) for one in A.split(rows)]
        return (
            torch.cat([codes for codes, _, _ in pieces]),
            torch.cat([scales for _, scales, _ in pieces]),
            None,
        )

    functional.quantize_4bit, functional.int8_vectorwise_quant = quantize_4bit, int8_vectorwise_quant
    setattr(functional, _INSTALLED, True)
