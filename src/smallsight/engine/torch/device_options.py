"""The limits of an engine on a device: a GPU has room for more sequences and larger caches."""

from __future__ import annotations

from dataclasses import replace

from smallsight.engine.engine import EngineOptions
from smallsight.engine.torch.device import Device
from smallsight.settings import MIB

_GPU_OPTIONS = EngineOptions(
    max_sequences=64,
    chunk_tokens=1024,
    max_step_tokens=4096,
    cache_bytes=4096 * MIB,
    feature_cache_bytes=512 * MIB,
    tiled_bytes=256 * MIB,
)
_GPU_CACHE_SHARE = 0.25  # of the GPU's free memory, at most, for the KV cache


def options_for(device: Device, options: EngineOptions) -> EngineOptions:
    """Return the options; the defaults, which suit a CPU, are replaced on a GPU."""
    if device.is_cpu or options != EngineOptions():
        return options
    cache_bytes = min(_GPU_OPTIONS.cache_bytes, int(device.free_bytes() * _GPU_CACHE_SHARE))
    return replace(_GPU_OPTIONS, cache_bytes=cache_bytes)
