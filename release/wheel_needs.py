"""What the shared object in a wheel of smallsight-kernels needs, and whether its name promises less."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

_ELF_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}
# Which libraries every system of manylinux has; any other one would have to be in the wheel.
_USUAL_LIBRARIES = re.compile(r"(libc|libm|libpthread|libdl|librt|ld-linux-[\w-]+)\.so\.\d+")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a shared object needs of a system: its processor, libraries, and versions of their symbols."""

    machine: str
    libraries: tuple[str, ...]
    versions: tuple[str, ...]

    def newest_glibc(self) -> tuple[int, ...]:
        """Return the newest version of glibc's symbols."""
        found = [one.removeprefix("GLIBC_") for one in self.versions if one.startswith("GLIBC_")]
        return max((tuple(map(int, one.split("."))) for one in found), default=())


def read_needs(content: bytes) -> Needs:
    """Read a shared object with pyelftools. Raises ImportError without it, and ELFError."""
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - of requirements/wheels.txt alone
    from elftools.elf.gnuversions import GNUVerNeedSection  # noqa: PLC0415

    elf = ELFFile(BytesIO(content))
    dynamic = elf.get_section_by_name(".dynamic")
    libraries = [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]
    versions = [
        auxiliary.name
        for section in elf.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, of_library in section.iter_versions()
        for auxiliary in of_library
    ]
    machine = elf.header.e_machine
    return Needs(_ELF_MACHINES.get(machine, machine), tuple(libraries), tuple(versions))


def read_wheel(wheel: Path) -> Needs:
    """Return what the one module in a wheel needs."""
    with zipfile.ZipFile(wheel) as archive:
        (module,) = [name for name in archive.namelist() if name.endswith(".so")]
        return read_needs(archive.read(module))


def fault(wheel: Path, machine: str, needs: Needs) -> str:
    """Return what contradicts a wheel's name or its promises; empty if nothing does."""
    if needs.machine != machine:
        return f"it holds code for {needs.machine}"
    if unusual := [one for one in needs.libraries if not _USUAL_LIBRARIES.fullmatch(one)]:
        return f"it needs {', '.join(unusual)}"
    tagged = [(int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", wheel.name)]
    if not tagged or f"_{machine}.whl" not in wheel.name:
        return "its name has no manylinux tag of its processor"
    if needs.newest_glibc() > min(tagged):
        return f"it needs glibc {'.'.join(map(str, needs.newest_glibc()))}"
    return ""
