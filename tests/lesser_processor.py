"""Runs programs as a processor with AVX-512 and without VNNI would run them, on one that has more.

Everything that asks the processor (oneDNN, OpenVINO, torch, numpy, the extension) and everything that reads
/proc/cpuinfo finds AVX-512 F, CD, BW, DQ and VL alone, as on a Skylake-SP; child processes too. The
instructions themselves stay: code that uses VNNI without asking first is not noticed.

Run: PYTHONPATH=tests python -m lesser_processor PROGRAM ARGUMENTS...
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("masked_cpuid.c")
NAME = "Xeon with AVX-512, without VNNI (masked)"  # as the C file answers
_CPUINFO = Path("/proc/cpuinfo")
_KEPT = frozenset("avx512f avx512cd avx512bw avx512dq avx512vl".split())
_GONE_WITH_THEM = frozenset(
    "avx_vnni gfni vaes vpclmulqdq sha_ni rdpid movdiri movdir64b cldemote serialize tsxldtrk "
    "amx_tile amx_int8 amx_bf16".split()
)


def obstacle() -> str:
    """Return why this machine cannot do it, or ""."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "only on Linux on x86-64"
    flags = _CPUINFO.read_text(encoding="utf-8").partition("flags")[2].partition("\n")[0].split()
    if "avx512vl" not in flags:
        return "no AVX-512 to keep"
    if "cpuid_fault" not in flags:
        return "this processor or kernel cannot refuse CPUID"
    return "" if _compiler() else "no C compiler"


def environment(folder: Path) -> dict[str, str]:
    """Build what is preloaded in a folder, and return the environment for the programs to run."""
    library, cpuinfo = folder / "masked_cpuid.so", folder / "cpuinfo"
    command = [
        _compiler(),
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fPIC",
        "-shared",
        "-o",
        library,
        SOURCE,
        "-ldl",
    ]
    subprocess.run(command, check=True)
    cpuinfo.write_text(masked(_CPUINFO.read_text(encoding="utf-8")), encoding="utf-8")
    return {**os.environ, "LD_PRELOAD": str(library), "SMALLSIGHT_MASKED_CPUINFO": str(cpuinfo)}


def masked(cpuinfo: str) -> str:
    """Return the text of /proc/cpuinfo with the name and without the flags that are gone."""
    lines = []
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if name.strip() == "flags":
            value = " ".join(one for one in value.split() if one in _KEPT or not _is_gone(one))
        elif name.strip() == "model name":
            value = NAME
        lines.append(f"{name}{colon} {value.strip()}")
    return "\n".join(lines) + "\n"


def _is_gone(flag: str) -> bool:
    return flag.startswith("avx512") or flag in _GONE_WITH_THEM


def _compiler() -> str:
    return next((found for one in ("cc", "gcc", "clang") if (found := shutil.which(one))), "")


def main() -> int:
    """Run a program and return its exit status; 77 where this machine cannot do it."""
    if why := obstacle():
        print(f"not run: {why}", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(sys.argv[1:], env=environment(Path(folder)), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
