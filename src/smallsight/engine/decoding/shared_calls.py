"""Runs one step's pieces in as few calls as possible while each result stays independent of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smallsight.engine.decoding.runner import Runner, StepInput, StepOutput

LONE_TOKEN_ROWS = 2  # paged attention sums in another order for a single token (openvino 2026.4.1)


def run_step(runner: Runner, steps: Sequence[StepInput]) -> StepOutput:
    """Return logits for the pieces that want them, in order.

    Pieces share a call where the runner's row bands allow it. A call with too few rows is padded with
    companions: one-token sequences in the scratch block. The head, which computes only wanted rows, is
    padded by repeating the last of them.
    """
    calls = runner.row_bands.plan([len(step.embeddings_TD) for step in steps])
    if len(calls) == 1:
        return _run_call(runner, steps, calls[0].num_padding_rows)
    outputs = [
        _run_call(runner, [steps[index] for index in call.pieces], call.num_padding_rows) for call in calls
    ]
    wanting = [index for call in calls for index in call.pieces if steps[index].wants_logits]
    order = np.argsort(wanting)
    logits_RV = np.concatenate([output.logits_RV for output in outputs])[order]
    hidden = [output.hidden_RD for output in outputs if output.hidden_RD is not None]
    return StepOutput(logits_RV, np.concatenate(hidden)[order] if hidden else None)


def _run_call(runner: Runner, steps: Sequence[StepInput], num_padding_rows: int) -> StepOutput:
    """Run one padded call and return copies of the pieces' results, without the padding."""
    num_rows = num_wanting = 0
    for step in steps:
        num_rows += len(step.embeddings_TD)
        num_wanting += step.wants_logits
    num_companions = max(num_padding_rows, LONE_TOKEN_ROWS - num_rows)
    companion = StepInput(steps[0].embeddings_TD[:1], 0, (runner.num_blocks,), wants_logits=False)
    output = runner.run(
        [*steps, *[companion] * num_companions],
        extra_logit_rows=max(0, runner.row_bands.fewest_rows - num_wanting) if num_wanting else 0,
    )
    hidden_RD = output.hidden_RD
    return StepOutput(
        output.logits_RV[:num_wanting].copy(),
        None if hidden_RD is None else hidden_RD[:num_wanting].copy(),
    )
