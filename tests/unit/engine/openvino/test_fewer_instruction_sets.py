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
from tiny_florence2 import SHAPES as FLORENCE2_SHAPES
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2_SHAPES
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM_SHAPES
from tiny_smolvlm import make_checkpoint

WRITERS = {
    "smolvlm": lambda folder: make_checkpoint(folder, SMOLVLM_SHAPES[0]),
    "florence2": lambda folder: write_tiny_florence2(folder, FLORENCE2_SHAPES[0]),
    "moondream2": lambda folder: write_tiny_moondream2(folder, MOONDREAM2_SHAPES[0]),
}
ANSWERS = """
import json, sys
import numpy as np
from PIL import Image
from smallsight.engine.engine import EngineOptions
from smallsight.model.vision_language_model import VisionLanguageModel
family, folder, precision = sys.argv[1:]
values = np.random.default_rng(3)
pictures = [Image.fromarray(values.integers(0, 256, (50, 60 + 9 * n, 3), np.uint8)) for n in range(4)]
options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64)
with VisionLanguageModel.load(
    folder, family=family, name="tiny", precision=precision, threads=1, options=options
) as model:
    alone = [model.describe(one, max_tokens=8).token_ids for one in pictures]
    together = [one.token_ids for one in model.describe_many(pictures, batch_size=4, max_tokens=8)]
    print(json.dumps({"alone": alone, "together": together}))
"""


@pytest.mark.skipif("avx512f" not in processor().instruction_sets, reason="no AVX-512 to limit to")
@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("family", sorted(WRITERS))
def test_answers_do_not_depend_on_company_with_avx512_alone(family, precision, tmp_path):
    folder = WRITERS[family](tmp_path / family)
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, family, str(folder), precision],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    for own, other in zip(answers["alone"], answers["together"], strict=True):
        tokens_are_equal(other, own, f"{family} {precision} with AVX-512 alone")
