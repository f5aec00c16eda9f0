"""Turns torch's errors about memory into OutOfResourcesError and releases what the failed call held."""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from smallsight.engine.torch.device import Device, release_caches
from smallsight.errors import OutOfResourcesError

_MIB = 1024**2
_UNITS = {"bytes": 1, "KiB": 1024, "MiB": _MIB, "GiB": 1024**3, "KB": 1024, "MB": _MIB, "GB": 1024**3}
# What torch's allocators write: CUDA "Tried to allocate 2.00 GiB", CPU "you tried to allocate 8 bytes"; and
# numpy's "Unable to allocate 2.00 GiB".
_WANTED = re.compile(r"(?:tried|unable) to allocate ([\d.]+) ?(bytes|[KMG]i?B)", re.IGNORECASE)
_SIGNS = (
    *("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory"),
    *("alloc_failed", "bad_alloc"),  # of cuBLAS and cuDNN, and of C++
)
# oneDNN's wrapper in torch 2.13 writes this for every status. It means memory where next to none is left.
_SIGNS_WHEN_SCARCE = (
    *("could not create a primitive", "could not execute a primitive", "could not create a memory"),
)
_SCARCE_BYTES = 256 * _MIB


@contextmanager
def reporting_memory(device: Device, doing: str, needed_bytes: int | None = None) -> Iterator[None]:
    """Raise OutOfResourcesError with needed and available bytes where torch runs out of memory.

    ``doing`` completes the sentence "Memory ran out while ...". ``needed_bytes`` is reported where torch does
    not say how much it needed.
    """
    failed: Exception | None = None
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error) and not _is_unexplained_and_scarce(error, device):
            raise
        failed = error
    if failed is None:
        return
    needed = wanted_bytes(str(failed)) or needed_bytes
    traceback.clear_frames(failed.__traceback__)  # the tensors of the failed call
    failed = None
    gc.collect()
    release_caches(device)
    needs = "" if needed is None else f" It needed {needed / _MIB:,.0f} MiB more;"
    free = f" {device.free_bytes() / _MIB:,.0f} MiB are free on {device.name}."
    raise OutOfResourcesError(
        f"Memory ran out while {doing}.{needs}{free}",
        hint="ask about fewer pictures at once, close other programs, or load a smaller model or precision.",
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of torch says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)


def _is_unexplained_and_scarce(error: Exception, device: Device) -> bool:
    said = str(error).lower()
    return any(sign in said for sign in _SIGNS_WHEN_SCARCE) and device.free_bytes() < _SCARCE_BYTES


def wanted_bytes(message: str) -> int | None:
    """Return how many bytes torch tried to allocate, as its message says, or None."""
    found = _WANTED.search(message)
    if found is None:
        return None
    unit = next(size for name, size in _UNITS.items() if name.lower() == found.group(2).lower())
    return int(float(found.group(1)) * unit)
