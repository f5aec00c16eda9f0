"""The real limit of a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
SHOW = """
import resource
from smallsight.machine.open_files import num_open_files, raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200))
before = num_open_files()
limit = raise_file_limit()
with open("/dev/null"):
    print(limit, *resource.getrlimit(resource.RLIMIT_NOFILE), num_open_files() - before)
"""


def test_the_soft_limit_is_raised_to_the_hard_one():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["200", "200", "200", "1"]
