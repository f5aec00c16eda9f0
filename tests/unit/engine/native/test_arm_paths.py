"""The ARM code of smallsight-kernels, compiled with zig and run by QEMU: the same bits as the plain path."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SOURCES, PROGRAMS = ROOT / "kernels" / "src", ROOT / "kernels" / "test"
INSTALLED = ROOT / ".make" / "zig" / "package" / "ziglang" / "zig"  # by make test-all
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
# Without libraries of the system, so that QEMU needs none of its processor.
OPTIONS = (
    *("-target", "aarch64-linux-musl", "-static", "-std=c++17", "-O2", "-ffp-contract=off"),
    *("-DSMALLSIGHT_ARM=1", f"-I{SOURCES}"),
)


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


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Both test programs; what zig compiles of its libraries goes where it goes."""
    folder = tmp_path_factory.mktemp("arm")
    environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(folder), "ZIG_LOCAL_CACHE_DIR": str(folder)}

    def compiled(name, *arguments):
        command = [zig(), "c++", *OPTIONS, *arguments, "-o", folder / name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / name

    objects = [
        compiled(f"{name}.o", f"-mcpu={features}", "-c", SOURCES / f"{name}.cpp")
        for name, features in FEATURES.items()
    ]
    objects += [compiled(f"{name}.o", "-c", SOURCES / f"{name}.cpp") for name in PLAIN]
    return {name: compiled(name, PROGRAMS / f"{name}.cpp", *objects) for name in ("path_test", "step_test")}


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
