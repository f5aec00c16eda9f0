from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from smallsight.media.landlock import is_available
from smallsight.media.sandbox import allow_cpu_seconds

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these")
MIB = 1 << 20


def run_locked_down(body: str) -> subprocess.CompletedProcess[str]:
    script = f"import os, json\nfrom smallsight.media.sandbox import *\n{body}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@LINUX_ONLY
def test_all_restrictions_apply_on_linux():
    done = run_locked_down(f"print(json.dumps(lock_down({512 * MIB}, os.getppid())))")
    assert set(json.loads(done.stdout)) <= (set() if is_available() else {"file_reads_denied"})


@LINUX_ONLY
def test_the_restrictions_that_cannot_apply_say_why():
    body = (
        "import platform\nplatform.machine = lambda: 'vax'\n"
        f"print(json.dumps(lock_down({512 * MIB}, os.getppid())))"
    )
    reasons = json.loads(run_locked_down(body).stdout)
    assert set(reasons) - {"file_reads_denied"} == {"system_calls_filtered"}
    assert "vax" in reasons["system_calls_filtered"]


@LINUX_ONLY
def test_a_child_whose_parent_is_gone_leaves_at_once():
    done = run_locked_down(f"lock_down({512 * MIB}, {os.getpid() + 1})\nprint('still here')")
    assert done.returncode == 0
    assert done.stdout == ""


@LINUX_ONLY
def test_memory_is_bounded():
    done = run_locked_down(f"lock_down({512 * MIB}, os.getppid())\nbytearray({600 * MIB})")
    assert "MemoryError" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_processor_time_is_bounded():
    done = run_locked_down("allow_cpu_seconds(0)\nwhile True: pass")
    assert done.returncode < 0


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_the_bound_on_processor_time_moves_on():
    import resource

    before = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        allow_cpu_seconds(1000)
        first = resource.getrlimit(resource.RLIMIT_CPU)[0]
        allow_cpu_seconds(2000)
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] - first in range(990, 1010)
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


@pytest.mark.skipif(not is_available(), reason="this kernel has no Landlock")
def test_files_of_the_user_and_of_other_processes_cannot_be_read(tmp_path):
    (tmp_path / "diary.txt").write_text("secret")
    body = (
        f"reasons = lock_down({512 * MIB}, os.getppid())\n"
        "readable = []\n"
        f"for path in ({str(tmp_path / 'diary.txt')!r}, '/etc/passwd', f'/proc/{{os.getppid()}}/environ'):\n"
        "    try:\n"
        "        readable.append(open(path).read() and path)\n"
        "    except PermissionError:\n"
        "        pass\n"
        "import colorsys, xml.dom.minidom\n"  # modules that nobody has imported yet
        "print(json.dumps([reasons, readable]))"
    )
    done = run_locked_down(body)
    assert json.loads(done.stdout) == [{}, []], done.stderr
