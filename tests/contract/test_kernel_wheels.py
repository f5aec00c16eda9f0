"""What a wheel of smallsight-kernels may hold: one binary for its machine that asks for little."""

from __future__ import annotations

import zipfile

import pytest
from release.kernel_wheels import faults, read_binary

NAME = "smallsight_kernels-0.1.0-cp311-cp311-manylinux_2_17_aarch64.whl"
MEMBER = "smallsight_kernels.cpython-311-aarch64-linux-gnu.so"
ARM, X86 = 183, 62


def binary(machine=ARM, words=(b"GLIBC_2.17", b"libc.so.6")):
    return b"\x7fELF\x02\x01" + bytes(12) + machine.to_bytes(2, "little") + b"\0" + b"\0".join(words) + b"\0"


def wheel(folder, data, *, name=NAME, member=MEMBER):
    with zipfile.ZipFile(folder / name, "w") as written:
        written.writestr(member, data)
        written.writestr("smallsight_kernels-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0")
    return folder / name


def test_a_binary_says_what_it_asks_for():
    found = read_binary(binary(words=(b"GLIBC_2.2.5", b"GLIBC_2.17", b"libm.so.6", b"ld-linux-aarch64.so.1")))
    assert (found.machine, found.glibc) == (ARM, (2, 17))
    assert found.libraries == {"libm.so.6", "ld-linux-aarch64.so.1"}
    with pytest.raises(ValueError, match="not a shared library"):
        read_binary(b"MZ")


def test_a_wheel_for_its_machine_is_accepted(tmp_path):
    assert faults(wheel(tmp_path, binary()), "aarch64") == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": binary(X86)}, "is for machine 62"),
        ({"data": binary(words=(b"GLIBC_2.34",))}, "asks for glibc 2.34"),
        ({"data": binary(words=(b"libstdc++.so.6",))}, "asks for libstdc++.so.6"),
        (
            {"data": binary(), "member": "other.cpython-311-aarch64-linux-gnu.so"},
            "instead of smallsight_kernels",
        ),
        (
            {"data": binary(), "member": "smallsight_kernels.cpython-311-x86_64-linux-gnu.so"},
            "not found by a Python",
        ),
        (
            {"data": binary(), "name": "smallsight_kernels-0.1.0-cp311-cp311-linux_aarch64.whl"},
            "does not end in",
        ),
    ],
)
def test_another_wheel_is_refused(tmp_path, given, words):
    (found,) = faults(wheel(tmp_path, **given), "aarch64")
    assert words in found
