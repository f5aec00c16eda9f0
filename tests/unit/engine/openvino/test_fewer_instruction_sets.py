"""Answers on the kernels of lesser processors, as far as the runtime's own switch allows.

``ONEDNN_MAX_CPU_ISA`` takes instruction sets away and adds none. So a processor with AVX-512 and bfloat16
also runs what one with AVX-512 alone would. One with AVX2 has nothing to take away (with ``AVX`` the runtime
finds no kernel for 8-bit weights, openvino 2026.4.1), and AMX cannot be had where it is not. The switch is
read once, so each limit has a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from invariants import tokens_are_equal
from smallsight.machine.processor import processor
from tiny_smolvlm import SHAPES, make_checkpoint

ANSWERS = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from smallsight.engine.engine import EngineOptions
from smallsight.model.vision_language_model import VisionLanguageModel
folder, precision = sys.argv[1:]
values = np.random.default_rng(3)
pictures = [Image.fromarray(values.integers(0, 256, (50, 60 + 9 * n, 3), np.uint8)) for n in range(4)]
options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64)
with VisionLanguageModel.load(
    Path(folder), family="smolvlm", name="tiny", precision=precision, threads=1, options=options
) as model:
    alone = [model.describe(one, max_tokens=8).token_ids for one in pictures]
    together = [one.token_ids for one in model.describe_many(pictures, batch_size=4, max_tokens=8)]
    print(json.dumps({"alone": alone, "together": together}))
"""


@pytest.mark.skipif("avx512f" not in processor().instruction_sets, reason="no AVX-512 to limit to")
def test_answers_do_not_depend_on_company_with_avx512_alone(tmp_path):
    """Smallsight-tiny did this on a Xeon; the other families and int4 have not been seen there."""
    folder = make_checkpoint(tmp_path / "tiny", SHAPES[0])
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, str(folder), "int8"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    for own, other in zip(answers["alone"], answers["together"], strict=True):
        tokens_are_equal(other, own, "int8 with AVX-512 alone")
