"""Unpacks Debian's Python for ARM and numpy in a folder, for QEMU to run, without root and containers.

Run it with ``python -m release.arm_system FOLDER``. It takes Debian's Python of the release that runs here,
so apt-get has to be there, and this interpreter has to be of the same version.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ARCHITECTURE = "arm64"  # Debian's word for aarch64
_LIBRARIES = (
    "libc6",
    "libgcc-s1",
    "libstdc++6",
    "zlib1g",
    "libexpat1",
    "libffi8",
    "libssl3",
    "libbz2-1.0",
    "liblzma5",
)
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64")
_NUMPY = "numpy>=2,<3"


def unpack_system(root: Path, python: str) -> None:
    """Unpack Python and its libraries, then numpy; raises CalledProcessError where a package is missing."""
    packages = [
        f"python{python}-minimal",
        f"libpython{python}-minimal",
        f"libpython{python}-stdlib",
        *_LIBRARIES,
    ]
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        configuration = _apt_configuration(work)
        subprocess.run(["apt-get", f"--config-file={configuration}", "update", "-qq"], check=True)
        debs = work / "debs"
        debs.mkdir()
        subprocess.run(
            ["apt-get", f"--config-file={configuration}", "download", "-qq", *packages], check=True, cwd=debs
        )
        for deb in debs.iterdir():
            subprocess.run(["dpkg", "-x", str(deb), str(root)], check=True)
        wheels = work / "wheels"
        platforms = [f"--platform={one}" for one in _PLATFORMS]
        command = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary=:all:"]
        command += [*platforms, f"--python-version={python}", f"--dest={wheels}", _NUMPY]
        subprocess.run(command, check=True)
        (wheel,) = wheels.glob("*.whl")
        shutil.unpack_archive(wheel, root / "usr" / "lib" / "python3" / "dist-packages", "zip")


def _apt_configuration(work: Path) -> Path:
    """Write a configuration with the sources and keys of this machine, and lists of another architecture."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "state" / "status").touch()
    path = work / "apt.conf"
    lines = [
        f'APT::Architecture "{ARCHITECTURE}";',
        f'APT::Architectures {{ "{ARCHITECTURE}"; }};',
        f'Dir::State "{work}/state";',
        f'Dir::State::status "{work}/state/status";',
        f'Dir::Cache "{work}/cache";',
        'APT::Sandbox::User "root";',
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def main() -> int:
    """Unpack a system, unless it is there already; 1 without apt-get."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (given.folder / "usr" / "bin" / f"python{python}").exists():
        return 0
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        print("There is no apt-get here: wheels for ARM are not run.", file=sys.stderr)
        return 1
    unpack_system(given.folder.absolute(), python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
