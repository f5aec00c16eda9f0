"""Memory that really runs out in the torch engine: a child process whose address space is limited."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tiny_smolvlm import TinyShape, make_checkpoint

CHILD = """
import json, re, resource, sys
import numpy as np
from PIL import Image
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import load_engine
from smallsight.errors import SmallsightError
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import TORCH_SCHEMES
from smallsight.settings import Limits
from pathlib import Path

def picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (200, 300, 3), np.uint8))

def address_space():
    return int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def ask(shown, times=1):
    return model.ask(shown, "What?" * times, max_tokens=8, detail="high", ignore_stop=True).token_ids

options = EngineOptions(chunk_tokens=4096, max_step_tokens=4096, cache_bytes=32 << 20, feature_cache_bytes=0)
engine = load_engine("smolvlm", Path(sys.argv[1]), TORCH_SCHEMES["fp32"], engine="torch", device="cpu",
                     threads=1, options=options)
model = VisionLanguageModel(engine, name="tiny", precision="fp32", limits=Limits())
one, several = [picture(0)], [picture(seed) for seed in range(1, 7)]
alone = ask(one)
found = []
_, hard = resource.getrlimit(resource.RLIMIT_AS)
for more in (0, 4, 8, 16, 32):
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + (more + int(sys.argv[2])) * 2**20, hard))
    try:
        ask(several, 400)
        said = "answered"
    except SmallsightError as error:
        said = f"{type(error).__name__}: {error.message}"
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    found.append(said)
    if ask(one) != alone:
        found.append("another answer afterwards")
print("FOUND " + json.dumps(found))
"""


# glibc ends a process that has no memory for a thread's own variables: it gets a little more then.
_NO_ROOM_FOR_A_THREAD = "cannot allocate memory for thread-local data: ABORT"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of the address space are Linux's")
@pytest.mark.parametrize("kept", ["0", "1024"])
def test_an_answer_without_memory_fails_with_both_amounts_and_the_next_one_works(kept, tmp_path: Path):
    """With no primitives kept, oneDNN runs out of memory, and nothing of it works in that thread again."""
    wide = TinyShape("wide", hidden=1024, heads=32, kv_heads=32, head_dim=32, layers=1)
    folder = make_checkpoint(tmp_path / "model", wide)
    for least_mib in (0, 1, 2, 4):
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), str(least_mib)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": kept},
            timeout=200,
        )
        if _NO_ROOM_FOR_A_THREAD not in child.stderr:
            break
    assert child.returncode == 0, child.stderr[-3000:]
    line = next(one for one in child.stdout.splitlines() if one.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    failed = [one for one in found if one != "answered"]
    assert failed
    assert all(one.startswith("OutOfResourcesError: Memory ran out while") for one in failed), found
    free_mib = [int(m[1]) for one in failed if (m := re.search(r"(\d+) MiB are free on cpu", one))]
    assert free_mib, found
    assert max(free_mib) < 200  # of what the limit leaves, not of the machine
