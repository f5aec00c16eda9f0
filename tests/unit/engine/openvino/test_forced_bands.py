"""Every engine of OpenVINO's under the row bands of other processors: no call has too few rows or too many.

The runtime's switch only takes kernels away (``test_fewer_instruction_sets.py``): AMX's cannot be had on a
processor without. So the bands are given and the calls are counted.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from invariants import tokens_are_equal
from smallsight.engine.engine import EngineOptions
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.stateful_decoder import StatefulDecoder
from smallsight.machine.processor import processor
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.policy.row_bands import RowBands
from tiny_florence2 import SHAPES as FLORENCE2_SHAPES
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2_SHAPES
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM_SHAPES
from tiny_smolvlm import make_checkpoint

AMX, AVX2 = RowBands((1, 5)), RowBands((1, 2, 81))
WRITERS = {
    "smolvlm": lambda folder: make_checkpoint(folder, SMOLVLM_SHAPES[0]),
    "florence2": lambda folder: write_tiny_florence2(folder, FLORENCE2_SHAPES[0]),
    "moondream2": lambda folder: write_tiny_moondream2(folder, MOONDREAM2_SHAPES[0]),
}


@pytest.fixture(scope="module", params=sorted(WRITERS))
def checkpoint(request, tmp_path_factory):
    return request.param, WRITERS[request.param](tmp_path_factory.mktemp(request.param) / "tiny")


@pytest.fixture
def row_counts(monkeypatch):
    """The rows of every call of a decoder, and of every call of its head."""
    counts: list[tuple[int, int]] = []
    run, step = PagedRunner.run, StatefulDecoder.step

    def counted_run(self, steps, *, extra_logit_rows=0):
        num_wanting = sum(one.wants_logits for one in steps)
        counts.append(
            (
                sum(len(one.embeddings_TD) for one in steps),
                num_wanting + extra_logit_rows if num_wanting else 0,
            )
        )
        return run(self, steps, extra_logit_rows=extra_logit_rows)

    def counted_step(self, tokens, position, parents):
        counts.append((len(tokens), len(tokens)))
        return step(self, tokens, position, parents)

    monkeypatch.setattr(PagedRunner, "run", counted_run)
    monkeypatch.setattr(StatefulDecoder, "step", counted_step)
    return counts


def answers(checkpoint, bands, row_counts):
    family, folder = checkpoint
    values = np.random.default_rng(3)
    pictures = [Image.fromarray(values.integers(0, 256, (50, 60 + 9 * n, 3), np.uint8)) for n in range(4)]
    options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64, row_bands=bands)
    with VisionLanguageModel.load(
        folder, family=family, name="tiny", precision="int8", threads=1, options=options
    ) as model:
        row_counts.clear()
        alone = [model.describe(one, max_tokens=8).token_ids for one in pictures]
        together = [one.token_ids for one in model.describe_many(pictures, batch_size=4, max_tokens=8)]
    return alone, together


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("bands", [AMX, AVX2], ids=str)
def test_no_call_leaves_the_band_of_its_rows(checkpoint, bands, row_counts):
    if "amx_int8" in processor().instruction_sets:
        bands = bands.joined(AMX)  # this processor's kernels change where they do, whatever else is given
    alone, together = answers(checkpoint, bands, row_counts)
    assert row_counts
    assert all(num_rows >= bands.fewest_rows for num_rows, _ in row_counts)
    assert all(not num_logits or num_logits >= bands.fewest_rows for _, num_logits in row_counts)
    for one, other in zip(alone, together, strict=True):
        tokens_are_equal(other, one, f"{checkpoint[0]} with bands {bands.starts}")


def test_rows_that_nobody_reads_change_no_answer(checkpoint, row_counts):
    """Padding is for the kernels' sake alone: on this processor answers are those of its own bands."""
    measured, _ = answers(checkpoint, None, row_counts)
    padded, _ = answers(checkpoint, RowBands((1, 9)), row_counts)
    for one, other in zip(measured, padded, strict=True):
        tokens_are_equal(other, one, f"{checkpoint[0]} padded to 9 rows")
