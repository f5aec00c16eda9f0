"""Calls moondream2's torch modules besides the decoder: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from smallsight.engine.region_head import NumberDecoder
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.moondream2_network import CropTower, NumberDecoders
from smallsight.families.moondream2.region import NumberKind


class TorchCropNetworks:
    """The tower and connector on a device. Used by one thread at a time."""

    def __init__(self, tower: CropTower, device: Device, dtype: torch.dtype) -> None:
        self._tower = tower
        self._device = device
        self._dtype = dtype

    @torch.inference_mode()
    def encode_crops(self, patches_NPC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the features of crops, float32 [crops, patches, vision hidden]."""
        with reporting_memory(self._device, "encoding a picture"):
            return _to_numpy(self._tower(_from_numpy(patches_NPC, self._device, self._dtype)))

    @torch.inference_mode()
    def connect(self, whole_PD: NDArray[np.float32], stitched_PD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return image tokens, float32 [patches, text hidden]."""
        with reporting_memory(self._device, "encoding a picture"):
            inputs = (_from_numpy(one, self._device, self._dtype) for one in (whole_PD, stitched_PD))
            return _to_numpy(self._tower.connect(*inputs))


def torch_number_decoder(
    numbers: NumberDecoders, kind: NumberKind, device: Device, dtype: torch.dtype
) -> NumberDecoder:
    """Return a function that runs the decoder of one kind of number."""

    @torch.inference_mode()
    def decode(hidden_1D: NDArray[np.float32]) -> NDArray[np.float32]:
        with reporting_memory(device, "detecting a place"):
            return _to_numpy(numbers(_from_numpy(hidden_1D, device, dtype), kind))

    return decode


def _from_numpy(values: NDArray[np.float32], device: Device, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(values).to(device.name, dtype)


def _to_numpy(values: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.float().cpu().numpy()
    return array
