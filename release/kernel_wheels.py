"""Builds wheels of smallsight-kernels for x86-64 and ARM with zig, and tries them.

Run it with ``make wheels``. auditwheel reads which versions of glibc's symbols a wheel needs and tags it
accordingly. The wheel for this processor is installed in a new environment and runs decode steps. The other
one does so under QEMU where ``--root`` names a system of its processor with Python and numpy; without one,
what its file says of itself is checked.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

from release.pins import ROOT
from release.wheel_needs import fault, read_wheel
from release.zig_compiler import MACHINES, write_toolchain

_PYTHON = f"usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
KERNELS = ROOT / "kernels"
TRIAL = ROOT / "release" / "try_kernels.py"


def build(machine: str, compilers: Path, work: Path, out: Path) -> Path:
    """Build, audit and tag one wheel; return it. Raises CalledProcessError."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX")).replace(platform.machine(), machine)
    toolchain = write_toolchain(compilers / machine, machine)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # cmake and ninja
        "CMAKE_ARGS": f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        "SETUPTOOLS_EXT_SUFFIX": suffix,
    }
    built, tagged = work / f"built-{machine}", work / f"tagged-{machine}"
    options = [
        "--no-deps",
        "--no-build-isolation",
        f"--config-settings=build-dir={work / f'build-{machine}'}",
    ]
    _run([sys.executable, "-m", "pip", "wheel", *options, f"--wheel-dir={built}", str(KERNELS)], environment)
    (untagged,) = built.glob("*.whl")
    repair = ["repair", "--patcher=none", f"--wheel-dir={tagged}", str(untagged)]
    _run([sys.executable, "-m", "auditwheel", *repair], environment)
    (wheel,) = tagged.glob("*.whl")
    out.mkdir(parents=True, exist_ok=True)
    return Path(shutil.move(wheel, out / wheel.name))


def try_here(wheel: Path, work: Path) -> None:
    """Install a wheel of this processor in a new environment and run steps. Raises CalledProcessError."""
    environment = work / "trial"
    venv.create(environment, with_pip=True, clear=True)
    python = str(environment / "bin" / "python")
    _run([python, "-m", "pip", "install", str(wheel)], dict(os.environ))
    subprocess.run([python, str(TRIAL)], cwd=work, check=True)


def try_emulated(wheel: Path, machine: str, root: Path, python: str, work: Path) -> None:
    """Run steps under QEMU, in a system that has Python and numpy. Raises CalledProcessError."""
    modules = work / f"modules-{machine}"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(modules)
    environment = os.environ | {"PYTHONPATH": str(modules), "QEMU_LD_PREFIX": str(root)}
    emulator = [_emulator(machine), "-cpu", "max", f"{root}/{python.lstrip('/')}", str(TRIAL)]
    subprocess.run(emulator, cwd=work, check=True, env=environment)


def _emulator(machine: str) -> str:
    for name in (f"qemu-{machine}", f"qemu-{machine}-static"):
        if (path := shutil.which(name)) is not None:
            return path
    raise FileNotFoundError(f"qemu-{machine}")


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Run a program silently; show what it wrote where it fails."""
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        done.check_returncode()


def main() -> int:
    """Build and try the wheels; 1 if one is not what its name promises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where the wheels go")
    parser.add_argument("--machine", action="append", choices=MACHINES, help="instead of all of them")
    parser.add_argument(
        "--root", type=Path, help="a system of the other processor, to try its wheel under QEMU"
    )
    parser.add_argument(
        "--compilers", type=Path, help="where zig and its compiled libraries stay for the next run"
    )
    parser.add_argument("--python", default=_PYTHON, help="where that system has Python")
    given = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for machine in given.machine or MACHINES:
            wheel = build(machine, given.compilers or work / "compilers", work, given.out)
            needs = read_wheel(wheel)
            glibc = ".".join(map(str, needs.newest_glibc()))
            print(
                f"{wheel.name}: {needs.machine}, glibc {glibc}, {wheel.stat().st_size >> 10} KiB", flush=True
            )
            if what := fault(wheel, machine, needs):
                print(f"error: {wheel.name}: {what}.", file=sys.stderr)
                faults += 1
            elif machine == platform.machine():
                try_here(wheel, work)
            elif given.root is not None:
                try_emulated(wheel, machine, given.root.absolute(), given.python, work)
            else:
                print(f"{wheel.name}: not run, because no --root names a system for {machine}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
