"""Makes a C++ compiler for CMake out of the package ziglang, for this processor or another one.

It also serves a machine that has no compiler (``make kernels``). Its programs need glibc 2.17 or newer,
whatever the machine has that builds them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import shlex
import sys
from pathlib import Path

MACHINES = ("x86_64", "aarch64")
_GLIBC = "2.17"  # that of manylinux2014: older systems have no Python 3.11
_PROGRAMS = ("c++", "ar", "ranlib")


def write_toolchain(folder: Path, machine: str) -> Path:
    """Write the programs that CMake calls and a toolchain file that names them; return that file.

    Raises ImportError without ziglang. Zig keeps what it compiles of its own libraries in ``folder``.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    zig = Path(str(importlib.import_module("ziglang").__file__)).parent / "zig"
    target = f" -target {machine}-linux-gnu.{_GLIBC}"
    for program in _PROGRAMS:
        arguments = program + (target if program == "c++" else "")
        _write_program(folder / program, f"{shlex.quote(str(zig))} {arguments}", folder)
    toolchain = folder / "toolchain.cmake"
    lines = [
        f'set(CMAKE_CXX_COMPILER "{folder / "c++"}")',
        f'set(CMAKE_AR "{folder / "ar"}")',
        f'set(CMAKE_RANLIB "{folder / "ranlib"}")',
        'set(CMAKE_STRIP "")',  # the linker does it: strip would have to know the other processor
        'set(CMAKE_MODULE_LINKER_FLAGS_INIT "-s")',
        'set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")',
    ]
    if machine != platform.machine():
        lines += ["set(CMAKE_SYSTEM_NAME Linux)", f"set(CMAKE_SYSTEM_PROCESSOR {machine})"]
    toolchain.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return toolchain


def obstacle(machine: str) -> str:
    """Return why this interpreter cannot compile for a machine; empty if it can."""
    if importlib.util.find_spec("ziglang") is None:
        return "the package ziglang is not installed"
    if machine not in MACHINES:
        return f"there is no target for {machine}"
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return "it compiles for Linux with glibc, and this is another system"
    return ""


def _write_program(path: Path, command: str, folder: Path) -> None:
    caches = "\n".join(
        f"export ZIG_{kind}_CACHE_DIR={shlex.quote(str(folder / 'cache'))}" for kind in ("GLOBAL", "LOCAL")
    )
    path.write_text(f'#!/bin/sh\n{caches}\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def main() -> int:
    """Write the programs and print the toolchain file's path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the programs and compiled libraries of zig go")
    parser.add_argument("--machine", default=platform.machine(), choices=MACHINES)
    given = parser.parse_args()
    if reason := obstacle(given.machine):
        print(f"No compiler was made: {reason}.", file=sys.stderr)
        return 1
    print(write_toolchain(given.folder, given.machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
