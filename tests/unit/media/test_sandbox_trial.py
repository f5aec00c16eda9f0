from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="most of it is about POSIX")
def test_without_a_sandbox_the_trial_says_so():
    """Or else the trial inside the sandbox would prove nothing. Forking wants a process without threads."""
    script = (
        "import json, resource\n"
        "resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)\n"
        "core = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0\n"
        "from smallsight.media.sandbox_trial import try_forbidden_things\n"
        "print(json.dumps([core, try_forbidden_things(1 << 20)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    has_no_core_dumps_anyway, prevented = json.loads(done.stdout)
    assert prevented.pop("core_dumps_denied") == has_no_core_dumps_anyway
    assert len(prevented) == 7
    assert not any(prevented.values())


@pytest.mark.skipif(sys.platform == "win32", reason="it is about POSIX")
def test_the_trial_goes_on_where_the_name_of_the_home_is_out_of_reach():
    """Under Debian's Python the child may not read the list of users, and HOME is not among its variables."""
    script = (
        "import json, pathlib\n"
        "def unknown(): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = unknown\n"
        "from smallsight.media.sandbox_trial import try_forbidden_things\n"
        "print(json.dumps(try_forbidden_things(1 << 20)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["file_reads_denied"] is False  # the parent's environment was read
