from __future__ import annotations

import subprocess
import sys

CHILD = """
import signal
from smallsight.cli.interrupts import remembered_interrupts

class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

with remembered_interrupts() as pressed:
    one = Interrupted()
    assert not pressed.is_set()
    del one  # Python prints the KeyboardInterrupt and goes on
    assert pressed.is_set()
print("remembered")
"""


def test_ctrl_c_while_an_object_is_destroyed_is_remembered():
    """In a child: where the interrupt is not dropped, it would end the process that runs the tests."""
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "remembered\n"), child.stderr
    assert "KeyboardInterrupt" in child.stderr


AS_ALWAYS = """
import signal
from smallsight.cli.interrupts import remembered_interrupts

before = signal.getsignal(signal.SIGINT)
try:
    with remembered_interrupts():
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):  # Python 3.11 calls the handler at one of the next instructions
            pass
        print("went on")
except KeyboardInterrupt:
    print("interrupted")
assert signal.getsignal(signal.SIGINT) is before
"""


def test_ctrl_c_interrupts_as_always_and_the_handler_before_comes_back():
    """In a child: beside other threads the interrupt came late, after the test, and ended the test run."""
    child = subprocess.run([sys.executable, "-c", AS_ALWAYS], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "interrupted\n"), child.stderr
