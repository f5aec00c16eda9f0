"""Answers do not depend on their company even where the runtime's kernels depend on the number of rows.

The runner here computes as processors do that change kernels: with AMX at 5 rows, with AVX2 at 2 and at 81
(openvino 2026.4.1). So the suite finds a call outside its band on every processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from invariants import tokens_are_equal
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.decoding.shared_calls import run_step
from smallsight.engine.engine import EngineOptions
from smallsight.engine.inline_engine import BLOCK_TOKENS, InlineEngine, inline_worker
from smallsight.engine.reference.llama import LlamaReference
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.families.registry import FAMILIES
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.policy.row_bands import RowBands
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits
from tiny_smolvlm import TinyShape, make_checkpoint

AMX, AVX2, BOTH = RowBands((1, 5)), RowBands((1, 2, 81)), RowBands((1, 2, 5, 81))


class KernelsByRows:
    """A runner whose results depend on the band of a call's rows, and of the rows of its head."""

    def __init__(self, plain: LlamaReference, real: RowBands, told: RowBands) -> None:
        self._plain, self._real = plain, real
        self.row_bands = told
        self.num_blocks = plain.num_blocks
        self.calls: list[tuple[int, int]] = []

    def copy_block(self, source: int, target: int) -> None:
        self._plain.copy_block(source, target)

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        num_rows = sum(len(step.embeddings_TD) for step in steps)
        num_logits = sum(step.wants_logits for step in steps) + extra_logit_rows
        self.calls.append((num_rows, num_logits))
        bent = [
            StepInput(
                step.embeddings_TD * np.float32(1 + 0.2 * self._kernel(num_rows)),
                step.begin,
                step.block_table,
                step.wants_logits,
                step.prefix_tokens,
            )
            for step in steps
        ]
        logits_RV = self._plain.run(bent, extra_logit_rows=extra_logit_rows).logits_RV
        tilt_V = np.sin(np.arange(logits_RV.shape[1], dtype=np.float32))
        return StepOutput(logits_RV + self._kernel(max(num_logits, 1)) * tilt_V)

    def _kernel(self, num_rows: int) -> int:
        return sum(start <= num_rows for start in self._real.starts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    shape = TinyShape("small", layers=1, hidden=32, heads=2, kv_heads=1, grid=2)
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", shape)


def open_model(folder, real: RowBands, told: RowBands) -> tuple[VisionLanguageModel, KernelsByRows]:
    family, options = FAMILIES["smolvlm"], EngineOptions(chunk_tokens=64, max_sequences=4)
    model = SmolVLMModel(folder, SCHEMES["int8"], 0)
    stored = dict(model.store())
    text = {name: one for name, one in stored.items() if name.startswith(model.decoder_names)}
    vision = {name: one for name, one in stored.items() if name not in text}
    plain = LlamaReference(model.config.text, text, num_blocks=300, block_tokens=BLOCK_TOKENS)
    runner = KernelsByRows(plain, real, told)
    features = FeatureCache(1 << 20)
    encoder = SigLIPReference(model.config, vision, model.to_patches, features)
    worker = inline_worker(model, encoder, runner, options)
    engine = InlineEngine(
        family, model.processor, worker, features, model.context_tokens, "key", 0, True, None
    )
    return VisionLanguageModel(engine, name="tiny", precision="int8", limits=Limits()), runner


def answers(folder, real: RowBands, told: RowBands) -> tuple[list, list, list[tuple[int, int]]]:
    """Return the tokens of answers alone, those of the same questions together, and the calls made."""
    values = np.random.default_rng(0)
    pictures = [
        Image.fromarray(values.integers(0, 256, (40 + 30 * seed, 64, 3), np.uint8)) for seed in range(5)
    ]
    asked = {"max_tokens": 12, "detail": "high", "ignore_stop": True}
    model, runner = open_model(folder, real, told)
    with model:
        alone = [model.describe(one, **asked).token_ids for one in pictures]
    model, runner = open_model(folder, real, told)
    with model:
        together = [one.token_ids for one in model.describe_many(pictures, batch_size=5, **asked)]
    return alone, together, runner.calls


@pytest.mark.parametrize("bands", [AMX, AVX2, BOTH], ids=str)
def test_answers_do_not_depend_on_company_whatever_kernels_there_are(folder, bands: RowBands) -> None:
    alone, together, calls = answers(folder, bands, bands)
    for one, other in zip(alone, together, strict=True):
        tokens_are_equal(other, one, f"kernels that change at {bands.starts}")
    assert all(num_rows >= bands.fewest_rows for num_rows, _ in calls)
    assert all(num_logits == 0 or num_logits >= bands.fewest_rows for _, num_logits in calls)


@pytest.mark.parametrize("bands", [AMX, AVX2], ids=str)
def test_this_would_be_noticed(folder, bands: RowBands) -> None:
    """Without knowing the bands the same runner gives other answers in company.

    On a busy machine the questions do not always meet, so that they are asked again.
    """
    for _ in range(20):
        alone, together, _ = answers(folder, bands, RowBands())
        if alone != together:
            break
    assert alone != together


class Rows:
    """A runner that returns the first number of each wanted row."""

    num_blocks = 7

    def __init__(self, bands: RowBands) -> None:
        self.row_bands = bands
        self.calls: list[list[int]] = []

    def copy_block(self, source: int, target: int) -> None:
        raise AssertionError(source, target)

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        self.calls.append([len(step.embeddings_TD) for step in steps])
        assert all(step.block_table == (self.num_blocks,) for step in steps if step.begin == 0)
        wanted = [step.embeddings_TD[-1] for step in steps if step.wants_logits]
        rows_RD = np.stack(wanted + wanted[-1:] * extra_logit_rows)
        return StepOutput(rows_RD[:, :1], rows_RD)


def test_results_come_in_the_order_of_the_pieces() -> None:
    runner = Rows(AVX2)
    sizes = [1, 90, 1, 100, 2]
    steps = [
        StepInput(np.full((size, 3), number, np.float32), 1, (0,), wants_logits=number != 2)
        for number, size in enumerate(sizes)
    ]
    output = run_step(runner, steps)
    assert output.logits_RV[:, 0].tolist() == [0, 1, 3, 4]
    assert output.hidden_RD is not None
    assert output.hidden_RD[:, 1].tolist() == [0, 1, 3, 4]
    assert runner.calls == [[1, 1, 2], [90, 100]]


def test_a_lone_token_gets_a_companion_where_kernels_do_not_change() -> None:
    runner = Rows(RowBands())
    output = run_step(runner, [StepInput(np.ones((1, 3), np.float32), 5, (0,), wants_logits=True)])
    assert runner.calls == [[1, 1]]
    assert output.logits_RV.shape == (1, 1)
