"""What a process hides from this user's other programs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smallsight.machine.own_process import prctl

# A process of an ordinary user that does or does not hide, and a child that reads its environment and memory.
PROGRAM = """
import os, sys
from smallsight.machine.own_process import deny_inspection, prctl
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    prctl(4, 1)  # changing the user has hidden it
if sys.argv[1] == "hidden":
    assert deny_inspection()
def can_open(name):
    try:
        open(f"/proc/{os.getppid()}/{name}", "rb").close()
        return True
    except OSError:
        return False
pid = os.fork()
if pid == 0:
    print(can_open("environ"), can_open("mem"), can_open("stat"), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(len(os.listdir("/proc/self/fd")) > 2)  # its own are there still, to count open files
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has prctl")


@pytest.mark.parametrize(("how", "readable"), [("open", "True True True"), ("hidden", "False False True")])
def test_other_programs_of_the_user_cannot_read_it(how: str, readable: str):
    """Not as root, who may read everything."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=False)
    assert (done.stdout.split("\n")[:2], done.stderr) == ([readable, "True"], "")


def test_a_request_that_the_kernel_refuses_is_an_error():
    with pytest.raises(OSError, match="Invalid argument"):
        prctl(4, 99)
