"""The ARM code of smallsight-kernels, compiled with zig and run by QEMU: the same bits as the plain path.

Zig compiles its own C and C++ libraries before it links a program: two minutes, where `make test-all` has not
fetched Debian's, with which zig's linker links the programs at once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SOURCES, PROGRAMS = ROOT / "kernels" / "src", ROOT / "kernels" / "test"
INSTALLED = ROOT / ".make" / "zig" / "package" / "ziglang" / "zig"  # by make test-all
DEBIAN = ROOT / ".make" / "arm" / "usr"  # libraries for ARM, by make test-all on Debian
PLAIN = (
    "decode_attention",
    "decode_step",
    "packed_matrix",
    "path_choice",
    "plain_path",
    "processor",
    "thread_team",
)
FEATURES = {"dotprod_path": "generic+dotprod", "i8mm_path": "generic+dotprod+i8mm"}
OPTIONS = ("-std=c++17", "-O2", "-ffp-contract=off", "-DSMALLSIGHT_ARM=1", f"-I{SOURCES}")


def zig():
    found = find_spec("ziglang")
    if found is not None:
        return Path(str(found.origin)).parent / "zig"
    return INSTALLED if INSTALLED.exists() else None


def emulator():
    return shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(zig() is None, reason="zig is not installed; make test-all does it"),
    pytest.mark.skipif(emulator() is None, reason="QEMU is not installed; make test-all does it on Debian"),
]


def run_zig(folder, *arguments):
    """Run zig, which keeps in the folder what it compiles of its libraries."""
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}
    done = subprocess.run([zig(), *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compile_options():
    """Return what compiling needs for Debian's libraries, or for zig's own."""
    if not DEBIAN.exists():
        return ("-target", "aarch64-linux-musl")
    system = DEBIAN / "aarch64-linux-gnu" / "include"
    (standard,) = system.glob("c++/*")
    headers = (standard, standard / "aarch64-linux-gnu", zig().parent / "lib" / "include", system)
    minor = re.search(r"define\s+__GLIBC_MINOR__\s+(\d+)", (system / "features.h").read_text())[1]
    shown = (part for header in headers for part in ("-isystem", header))
    return ("-target", f"aarch64-linux-gnu.2.{minor}", "-nostdinc", "-nostdinc++", *shown)


def link(folder, program, objects):
    """Link a program without libraries of the system, so that QEMU needs none of its processor."""
    if not DEBIAN.exists():
        run_zig(folder, "c++", *compile_options(), "-static", *objects, "-o", program)
        return
    system = DEBIAN / "aarch64-linux-gnu" / "lib"
    (compiler,) = (DEBIAN / "lib" / "gcc-cross" / "aarch64-linux-gnu").iterdir()
    begin = (system / "crt1.o", system / "crti.o", compiler / "crtbeginT.o")
    libraries = ("-lstdc++", "-lm", "--start-group", "-lgcc", "-lgcc_eh", "-lc", "--end-group")
    found = (f"-L{compiler}", f"-L{system}", *libraries)
    end = (compiler / "crtend.o", system / "crtn.o")
    run_zig(folder, "ld.lld", "-static", "-o", program, *begin, *objects, *found, *end)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Both test programs."""
    folder = tmp_path_factory.mktemp("arm")

    def compiled(name, source, *arguments):
        made = folder / f"{name}.o"
        run_zig(folder, "c++", *OPTIONS, *compile_options(), *arguments, "-c", source, "-o", made)
        return made

    objects = [
        compiled(name, SOURCES / f"{name}.cpp", f"-mcpu={features}") for name, features in FEATURES.items()
    ]
    objects += [compiled(name, SOURCES / f"{name}.cpp") for name in PLAIN]
    found = {}
    for name in ("path_test", "step_test"):
        found[name] = folder / name
        link(folder, found[name], [compiled(name, PROGRAMS / f"{name}.cpp"), *objects])
    return found


def output(program, processor):
    done = subprocess.run(
        [emulator(), "-cpu", processor, program], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_products_norms_and_sums_have_the_bits_of_the_plain_path(programs):
    lines = output(programs["path_test"], "max").splitlines()
    assert [line.split(":")[0] for line in lines] == ["dotprod", "i8mm"]
    assert all(line.endswith("parts, alike") for line in lines)


def test_steps_on_three_threads_have_the_bits_of_the_plain_path_on_one(programs):
    lines = output(programs["step_test"], "max").splitlines()
    assert {line.split(",")[0] for line in lines} == {"plain", "dotprod", "i8mm"}
    assert all(line.endswith("alike") for line in lines)


@pytest.mark.parametrize(
    ("processor", "paths"),
    [("cortex-a72", {"plain"}), ("neoverse-n1", {"plain", "dotprod"})],
    ids=["without dot products", "without matrix products"],
)
def test_a_processor_runs_what_it_has(programs, processor, paths):
    assert {line.split(",")[0] for line in output(programs["step_test"], processor).splitlines()} == paths
