"""Chooses the device that torch computes on, and its number type."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from smallsight.errors import ArgumentError
from smallsight.machine.memory import allocatable_bytes
from smallsight.machine.processor import multiplies_bf16

AUTO = "auto"
CUDA, MPS, CPU = "cuda", "mps", "cpu"
SHARING = "+"  # between the names of devices
DISK = "disk"  # accelerate's name; what is there is computed on the first device


@dataclass(frozen=True)
class Device:
    """A device by torch's name ("cuda:0", "mps" or "cpu").

    ``dtype`` is the type of 16-bit weights and of arithmetic around quantised ones; float32 on a processor
    without instructions for bfloat16. ``reason`` is a sentence that says why this device and type are used.
    ``others`` may hold layers too: where ``is_shared``, because that was asked for, else if one has too
    little memory.
    """

    name: str
    dtype: torch.dtype
    reason: str
    others: tuple[str, ...] = ()
    is_shared: bool = False

    @property
    def kind(self) -> str:
        """The name without a number: "cuda", "mps" or "cpu"."""
        return self.name.partition(":")[0]

    @property
    def is_cpu(self) -> bool:
        """Whether this is the processor, whose memory is the machine's."""
        return self.kind == CPU

    def free_bytes(self) -> int:
        """Return the memory that is free on the device."""
        return _free_bytes(self.name)

    def free_by_device(self) -> list[tuple[str, int]]:
        """Return the free memory of the device and of the others, by name."""
        return [(name, _free_bytes(name)) for name in (self.name, *self.others)]


def choose_device(wanted: str | None = None) -> Device:
    """Return the wanted device, or for None and "auto" the first of CUDA, MPS and CPU that this machine has.

    "cuda" is the GPU with the most free memory, "cuda:1" the second one; AMD's GPUs are "cuda" too.
    "cuda:0+cuda:1" shares a model; with "+disk" a part of the weights stays in the checkpoint's files. Raises
    ArgumentError for a device that this machine or this build of torch does not have.
    """
    if wanted is not None and SHARING in wanted:
        return _shared(wanted)
    if wanted in (None, AUTO):
        kind = CUDA if torch.cuda.is_available() else MPS if torch.backends.mps.is_available() else CPU
        return _described(kind, "chosen automatically")
    name = str(wanted)
    kind = name.partition(":")[0]
    if kind not in (CUDA, MPS, CPU):
        raise ArgumentError(f"Unknown device {name!r}.", hint="use auto, cpu, cuda, cuda:0 or mps.")
    is_missing_cuda = kind == CUDA and not torch.cuda.is_available()
    if is_missing_cuda or (kind == MPS and not torch.backends.mps.is_available()):
        raise ArgumentError(
            f"torch {torch.__version__} finds no {kind} device on this machine.",
            hint="use device='cpu', or install the build of torch for your GPU.",
        )
    return _described(name, "as requested")


def _free_bytes(name: str) -> int:
    kind = name.partition(":")[0]
    if kind == CUDA:
        free, _ = torch.cuda.mem_get_info(name)
        return int(free)
    if kind == MPS:
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return allocatable_bytes()


def _shared(wanted: str) -> Device:
    name, *others = wanted.split(SHARING)
    device = choose_device(name)
    found = [one if one == DISK else choose_device(one).name for one in others]
    if any(one.partition(":")[0] not in (device.kind, DISK) for one in found) or AUTO in (name, *others):
        raise ArgumentError(
            f"{wanted!r} cannot share a model.", hint="name GPUs of one kind, such as cuda:0+cuda:1."
        )
    return replace(device, others=tuple(found), is_shared=True)


def require_one_device(device: Device, title: str) -> None:
    """Raise ArgumentError for a request to share a model whose family cannot be shared."""
    if device.is_shared:
        raise ArgumentError(
            f"{title} runs on one device, not on several.", hint=f"use device={device.name!r}."
        )


def require_no_disk(device: Device, title: str) -> None:
    """Raise ArgumentError for a request to leave weights in files, if the family needs all in memory."""
    if DISK in device.others:
        raise ArgumentError(
            f"{title} cannot leave weights in its files.", hint="name devices only, such as cuda:0+cuda:1."
        )


def release_caches(device: Device) -> None:
    """Return the memory that torch's allocator holds for later to the device; does nothing on the CPU."""
    if device.kind == CUDA:
        torch.cuda.empty_cache()
    elif device.kind == MPS:
        torch.mps.empty_cache()


def _described(name: str, how: str) -> Device:
    kind = name.partition(":")[0]
    if kind == CUDA:
        return _cuda(name, how)
    if kind == MPS:
        return Device(MPS, torch.float16, f"MPS, {how}: Apple's GPU computes in float16.")
    if multiplies_bf16():
        return Device(name, torch.bfloat16, f"CPU, {how}: it has instructions for bfloat16.")
    return Device(
        name, torch.float32, f"CPU, {how}: without instructions for bfloat16 it computes in float32."
    )


def _cuda(name: str, how: str) -> Device:
    count = torch.cuda.device_count()
    number = name.partition(":")[2]
    if number and (not number.isdecimal() or int(number) >= count):
        raise ArgumentError(f"There is no device {name!r}.", hint=f"this machine has {count}, from cuda:0.")
    index = int(number) if number else max(range(count), key=lambda one: torch.cuda.mem_get_info(one)[0])
    has_bf16 = torch.cuda.get_device_capability(index)[0] >= 8 or torch.version.hip is not None
    title = torch.cuda.get_device_name(index)
    dtype = torch.bfloat16 if has_bf16 else torch.float16
    why = "it has bfloat16" if has_bf16 else "it has no bfloat16, so float16 is used"
    others = [] if number else [one for one in range(count) if one != index and _is_alike(one, index)]
    names = tuple(f"{CUDA}:{one}" for one in others)
    return Device(f"{CUDA}:{index}", dtype, f"{title}, {how}: {why}.", names)


def _is_alike(index: int, other: int) -> bool:
    return torch.cuda.get_device_capability(index) == torch.cuda.get_device_capability(other)
