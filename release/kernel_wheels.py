"""Builds wheels of smallsight-kernels for Linux on x86-64 and ARM with zig, and looks into each.

``python -m release.kernel_wheels DIRECTORY`` needs ziglang, wheel and what kernels/build-constraints.txt
names in its environment, and no other compiler. A wheel is for the Python that runs this, and for glibc 2.17
and later. It is refused if its binary is for another processor, or asks for a newer glibc or another library.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLIBC = (2, 17)  # of manylinux2014
# What manylinux permits and the extension asks for.
LIBRARIES = frozenset(
    ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2")
) | {"ld-linux-aarch64.so.1"}
_MACHINES = {"x86_64": 62, "aarch64": 183}  # as ELF headers have them
_MACHINE_AT = 18


@dataclass(frozen=True, slots=True)
class Binary:
    """What a shared library says about itself."""

    machine: int
    glibc: tuple[int, int]  # the newest that it asks for
    libraries: frozenset[str]


def read_binary(data: bytes) -> Binary:
    """Read a 64-bit little-endian shared library; ValueError if it is none."""
    if data[:6] != b"\x7fELF\x02\x01":
        message = "not a shared library of a 64-bit Linux"
        raise ValueError(message)
    versions = [(int(major), int(minor)) for major, minor in re.findall(rb"\0GLIBC_(\d+)\.(\d+)", data)]
    libraries = re.findall(rb"\0((?:lib[\w+-]+|ld-linux[\w-]*)\.so[.\d]*)(?=\0)", data)
    return Binary(
        int.from_bytes(data[_MACHINE_AT : _MACHINE_AT + 2], "little"),
        max(versions, default=(0, 0)),
        frozenset(one.decode() for one in libraries),
    )


def faults(wheel: Path, machine: str) -> list[str]:
    """Return what is wrong with a wheel for this machine, in sentences."""
    tag = f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{machine}"
    found = [] if wheel.stem.endswith(f"-{tag}") else [f"its name does not end in {tag}"]
    with zipfile.ZipFile(wheel) as opened:
        binaries = [name for name in opened.namelist() if name.endswith(".so")]
        if [Path(name).name.split(".")[0] for name in binaries] != ["smallsight_kernels"]:
            found.append(f"it has the binaries {binaries} instead of smallsight_kernels")
        for name in binaries:
            if f"-{machine}-linux" not in name:
                found.append(f"{name} is not found by a Python on {machine}")
            binary = read_binary(opened.read(name))
            if binary.machine != _MACHINES[machine]:
                found.append(f"{name} is for machine {binary.machine}")
            if binary.glibc > GLIBC:
                found.append(f"{name} asks for glibc {binary.glibc[0]}.{binary.glibc[1]}")
            found += [f"{name} asks for {one}" for one in sorted(binary.libraries - LIBRARIES)]
    return found


def build(machine: str, directory: Path, place: Path) -> Path:
    """Build one wheel in ``directory`` with zig; its tools are written to ``place``."""
    target = f"{machine}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
    # The code of an instruction set is chosen at run time, so nothing else may have it.
    tools = {"c++": ["-target", target, "-mcpu=baseline"], "ar": [], "ranlib": []}
    for name, arguments in tools.items():
        tool = place / f"zig-{name}"
        called = " ".join([sys.executable, "-m", "ziglang", name, *arguments])
        tool.write_text(f'#!/bin/sh\nexec {called} "$@"\n', encoding="utf-8")
        tool.chmod(0o755)
    described = place / "toolchain.cmake"
    lines = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine,
        "CMAKE_CXX_COMPILER": place / "zig-c++",
        "CMAKE_AR": place / "zig-ar",
        "CMAKE_RANLIB": place / "zig-ranlib",
    }
    described.write_text("".join(f"set({name} {value})\n" for name, value in lines.items()), encoding="utf-8")
    python = f"cpython-{sysconfig.get_config_var('py_version_nodot')}"
    environment = {
        **os.environ,
        "CMAKE_ARGS": f"-DCMAKE_TOOLCHAIN_FILE={described}",
        "SETUPTOOLS_EXT_SUFFIX": f".{python}-{machine}-linux-gnu.so",
    }
    built = place / "built"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    options = [f"-Cbuild-dir={place / 'objects'}", "--wheel-dir", str(built), str(ROOT / "kernels")]
    subprocess.run([*command, *options], env=environment, check=True)
    (wheel,) = built.glob("*.whl")
    tag = f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{machine}"
    retag = [sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", tag, str(wheel)]
    subprocess.run(retag, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = built.glob("*.whl")
    return wheel.replace(directory / wheel.name)


def main() -> None:
    """Read the command line; build and check a wheel for each machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where the wheels are written")
    parser.add_argument("--machine", action="append", choices=_MACHINES, help="all of them by default")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    for machine in options.machine or _MACHINES:
        with tempfile.TemporaryDirectory() as place:
            wheel = build(machine, options.directory, Path(place))
        if found := faults(wheel, machine):
            wheel.unlink()
            sys.exit(f"{wheel.name} was refused: {'; '.join(found)}.")
        print(wheel)


if __name__ == "__main__":
    main()
