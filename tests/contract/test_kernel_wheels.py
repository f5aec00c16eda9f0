"""What a wheel of smallsight-kernels promises is what it needs, and what builds it is what was tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from release import try_kernels
from release.pins import read_pins
from release.wheel_needs import Needs, fault
from release.zig_compiler import MACHINES, obstacle

from contract.checkout import ROOT, assert_none
from native_decoders import needs_extension
from smallsight.machine.extension import find_extension

X86 = Path("smallsight_kernels-0.1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl")
ARM = Path("smallsight_kernels-0.1.0-cp312-abi3-manylinux_2_17_aarch64.whl")
USUAL = ("libm.so.6", "libpthread.so.0", "libc.so.6", "ld-linux-x86-64.so.2")
KERNELS = ROOT / "kernels"


def test_a_wheel_that_needs_what_its_name_says_is_right():
    assert fault(X86, "x86_64", Needs("x86_64", USUAL, ("GLIBC_2.2.5", "GLIBC_2.17"))) == ""
    assert fault(ARM, "aarch64", Needs("aarch64", ("libc.so.6",), ("GLIBC_2.17",))) == ""


@pytest.mark.parametrize(
    ("wheel", "needs", "what"),
    [
        (X86, Needs("aarch64", USUAL, ()), "it holds code for aarch64"),
        (X86, Needs("x86_64", (*USUAL, "libstdc++.so.6"), ()), "it needs libstdc++.so.6"),
        (X86, Needs("x86_64", USUAL, ("GLIBC_2.4", "GLIBC_2.34")), "it needs glibc 2.34"),
        (Path("a-1-cp311-cp311-linux_x86_64.whl"), Needs("x86_64", USUAL, ()), "its name has no"),
        (ARM, Needs("x86_64", USUAL, ()), "its name has no"),
    ],
    ids=["processor", "library", "glibc", "no manylinux", "other name"],
)
def test_a_wheel_that_promises_less_than_it_needs_is_found(wheel, needs, what):
    assert fault(wheel, "x86_64", needs).startswith(what)


def test_versions_are_compared_as_numbers():
    assert Needs("x86_64", (), ("GLIBC_2.9", "GLIBC_2.17", "CXXABI_1.3")).newest_glibc() == (2, 17)


def test_no_compiler_is_made_for_an_unknown_machine():
    assert obstacle("riscv64") != ""
    assert MACHINES == ("x86_64", "aarch64")


def test_the_locks_of_wheels_hold_what_the_extension_is_built_with():
    wanted = {pin.name: pin.version for pin in read_pins(KERNELS / "build-constraints.txt")}
    for lock in ("wheels", "zig", "image-build"):
        found = {pin.name: pin.version for pin in read_pins(ROOT / "requirements" / f"{lock}.txt")}
        wrong = [name for name, version in wanted.items() if found.get(name, version) != version]
        assert_none(f"requirements/{lock}.txt has another version", wrong)


def test_cmake_builds_every_source():
    listed = set(re.findall(r"src/(\w+\.cpp)", (KERNELS / "CMakeLists.txt").read_text(encoding="utf-8")))
    assert listed == {path.name for path in (KERNELS / "src").glob("*.cpp")}


def test_no_source_asks_the_compiler_for_the_instruction_sets():
    """In a program linked with zig its answer is that there are none; processor.hpp asks the processor."""
    asking = [
        path.name
        for path in (KERNELS / "src").iterdir()
        if "__builtin_cpu" in path.read_text(encoding="utf-8")
    ]
    assert_none("processor.hpp says what this processor has", asking)


@needs_extension
def test_the_trial_of_a_wheel_compares_the_paths_of_this_processor(capsys):
    assert try_kernels.main() == 0
    lines = capsys.readouterr().out.splitlines()
    paths = [name for name in try_kernels.PATHS if find_extension().module.path_name(name)]
    steps, resizing, encoder = lines[1:-2], lines[-2], lines[-1]
    assert [line.partition(",")[0] for line in steps] == paths * 2
    assert len(paths) > 1
    assert all(line.endswith("the same bits") for line in steps)
    assert resizing == "resizing: the same pixels"
    assert encoder.startswith("encoder: ")


@needs_extension
def test_the_trial_notices_a_path_with_other_bits(capsys, monkeypatch):
    right = try_kernels.logits_of
    monkeypatch.setattr(
        try_kernels,
        "logits_of",
        lambda kernels, path, bits, threads: right(kernels, path, bits, threads) + (path != "plain"),
    )
    assert try_kernels.main() == 1
    assert "DIFFERENT" in capsys.readouterr().out
