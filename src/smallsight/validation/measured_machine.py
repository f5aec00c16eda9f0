"""The machine of a measurement: what decides speed and, in the last bits, results."""

from __future__ import annotations

import platform
from importlib import metadata

import psutil

from smallsight.machine.memory import usable_memory_bytes
from smallsight.machine.processor import processor, usable_instruction_sets
from smallsight.settings import Settings
from smallsight.validation.result import Machine

__all__ = ["measured_machine"]

_LIBRARIES = ("openvino", "numpy", "tokenizers", "sacrebleu", "torch", "bitsandbytes")


def measured_machine(settings: Settings) -> Machine:
    """Return what is known about this machine."""
    return Machine(
        processor=processor().name,
        instruction_sets=usable_instruction_sets(),
        num_threads=settings.threads or psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        memory_bytes=usable_memory_bytes(),
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        libraries={name: version for name in _LIBRARIES if (version := _version(name)) is not None},
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
