"""This machine's processor, and its instruction sets that matter for running a model."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_BYTES = 64 * 1024  # more than the first core's block; a large server lists hundreds
_FIELD = re.compile(r"^([^:\n]+?)[ \t]*:[ \t]*(.*)$", re.MULTILINE)
_UNKNOWN = "unknown processor"

# Our name -> its names in /proc/cpuinfo and sysctl, in lower case. Shown in this order.
_NAMES = {
    "sse4_2": ("sse4_2", "sse4.2"),
    "avx2": ("avx2",),
    "fma": ("fma",),
    "avx_vnni": ("avx_vnni",),
    "avx512f": ("avx512f",),
    "avx512bw": ("avx512bw",),
    "avx512_vnni": ("avx512_vnni", "avx512vnni"),
    "avx512_bf16": ("avx512_bf16", "avx512bf16"),
    "avx512_fp16": ("avx512_fp16", "avx512fp16"),
    "amx_tile": ("amx_tile",),
    "amx_int8": ("amx_int8",),
    "amx_bf16": ("amx_bf16",),
    "neon": ("asimd", "neon", "advsimd"),
    "dotprod": ("asimddp", "feat_dotprod"),
    "i8mm": ("i8mm", "feat_i8mm"),
    "bf16": ("bf16", "feat_bf16"),
    "sve": ("sve",),
}
_WITH_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_LIMIT = "ONEDNN_MAX_CPU_ISA"  # an environment variable that oneDNN, and so OpenVINO, reads at its start
_ABOVE_AVX512_CORE = ("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")
# A value of that variable -> what it forbids, from oneDNN's page "CPU Dispatcher Control"; other values
# forbid nothing that matters here.
_FORBIDDEN = {
    "AVX2": ("avx_vnni", "avx512f", "avx512bw", *_ABOVE_AVX512_CORE),
    "AVX2_VNNI": ("avx512f", "avx512bw", *_ABOVE_AVX512_CORE),
    "AVX512_CORE": ("avx_vnni", *_ABOVE_AVX512_CORE),
    "AVX512_CORE_VNNI": _ABOVE_AVX512_CORE[1:],
    "AVX512_CORE_BF16": _ABOVE_AVX512_CORE[2:],
    "AVX512_CORE_FP16": _ABOVE_AVX512_CORE[3:],
}
_ARM_MAKERS = {0x41: "ARM", 0x51: "Qualcomm", 0x61: "Apple", 0xC0: "Ampere"}
_ARM_PARTS = {  # servers and single-board computers; others show their number
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse N1",
    (0x41, 0xD40): "Neoverse V1",
    (0x41, 0xD49): "Neoverse N2",
    (0x41, 0xD4F): "Neoverse V2",
}


@dataclass(frozen=True)
class Processor:
    """A processor's name and its instruction sets; none where the system does not report them."""

    name: str
    instruction_sets: tuple[str, ...]

    def __str__(self) -> str:
        """Return the name and the instruction sets in one line."""
        return f"{self.name} ({' '.join(self.instruction_sets) or 'instruction sets not reported'})"


@cache
def processor() -> Processor:
    """Return this machine's processor, from /proc/cpuinfo on Linux or sysctl on macOS."""
    if sys.platform == "darwin":
        return from_sysctl(_sysctl())
    try:
        with _CPUINFO.open(encoding="utf-8", errors="replace") as file:
            return from_cpuinfo(file.read(_CPUINFO_BYTES))
    except OSError:  # not Linux, or a sandbox without /proc
        return Processor(_platform_name(), ())


def usable_instruction_sets(of: Processor | None = None) -> tuple[str, ...]:
    """Return a processor's instruction sets less those that ``ONEDNN_MAX_CPU_ISA`` forbids the runtime.

    The default is this machine's processor.
    """
    forbidden = _FORBIDDEN.get(os.environ.get(_LIMIT, "").upper(), ())
    return tuple(one for one in (of or processor()).instruction_sets if one not in forbidden)


def multiplies_bf16() -> bool:
    """Return whether the runtime may use instructions for bfloat16; false where none are reported."""
    return not _WITH_BF16.isdisjoint(usable_instruction_sets())


def from_cpuinfo(text: str) -> Processor:
    """Return the first processor in the text of /proc/cpuinfo, of an x86 or ARM kernel."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        fields.setdefault(name.strip().lower(), value.strip())
    flags = fields.get("flags") or fields.get("features") or ""
    return Processor(_cpuinfo_name(fields), _known(flags.lower().split()))


def from_sysctl(text: str) -> Processor:
    """Return the processor from the output of ``sysctl machdep.cpu hw.optional``, Intel or Apple."""
    fields = {name.strip().lower(): value.strip() for name, value in _FIELD.findall(text)}
    flags = [
        *fields.get("machdep.cpu.features", "").lower().split(),
        *fields.get("machdep.cpu.leaf7_features", "").lower().split(),
        *(name.rsplit(".", 1)[-1] for name, value in fields.items() if _is_optional(name) and value == "1"),
    ]
    return Processor(fields.get("machdep.cpu.brand_string") or _platform_name(), _known(flags))


def _is_optional(name: str) -> bool:
    return name.startswith("hw.optional.")


def _known(flags: list[str]) -> tuple[str, ...]:
    present = frozenset(flags)
    return tuple(name for name, spellings in _NAMES.items() if not present.isdisjoint(spellings))


def _cpuinfo_name(fields: dict[str, str]) -> str:
    if name := fields.get("model name"):
        return name
    try:
        maker, part = int(fields["cpu implementer"], 16), int(fields["cpu part"], 16)
    except (KeyError, ValueError):
        return _platform_name()
    part_name = _ARM_PARTS.get((maker, part), f"part {part:#x}")
    return f"{_ARM_MAKERS.get(maker, f'ARM implementer {maker:#x}')} {part_name}"


def _platform_name() -> str:
    return platform.processor() or platform.machine() or _UNKNOWN


def _sysctl() -> str:
    """Return sysctl's output, even if it fails: it prints all known names before failing for unknown ones."""
    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "machdep.cpu", "hw.optional"],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
