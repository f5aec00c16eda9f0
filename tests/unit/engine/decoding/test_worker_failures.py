"""A step that fails ends its requests and nothing else: what arrives in the same moment is answered."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.worker import Worker
from smallsight.engine.engine import EngineOptions
from smallsight.engine.generation import Generation
from smallsight.engine.inline_engine import BLOCK_TOKENS, inline_worker
from smallsight.engine.reference.llama import LlamaReference
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ModelClosedError, SmallsightError
from smallsight.families.messages import Detail, Message, PreparedPrompt, TextPart
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.quant.scheme import parse_scheme
from tiny_smolvlm import SHAPES, make_checkpoint


class FailsOnce(LlamaReference):
    """The plain decoder, whose first step waits for the test and then fails."""

    has_failed = False
    may_fail = threading.Event()

    def run(self, *arguments: Any, **named: Any) -> Any:
        if not self.has_failed:
            self.may_fail.wait()
            self.has_failed = True
            raise RuntimeError("the first step fails")
        return super().run(*arguments, **named)


@pytest.fixture
def worker_and_prompt(tmp_path: Path) -> tuple[Worker, PreparedPrompt]:
    model = SmolVLMModel(make_checkpoint(tmp_path / "model", SHAPES[0]), parse_scheme("fp32"), 0)
    stored = dict(model.store())
    decoder = {name: one for name, one in stored.items() if name.startswith(model.decoder_names)}
    others = {name: one for name, one in stored.items() if not name.startswith(model.decoder_names)}
    FailsOnce.may_fail.clear()
    runner = FailsOnce(model.config.text, decoder, num_blocks=64, block_tokens=BLOCK_TOKENS)
    vision = SigLIPReference(model.config, others, model.to_patches, FeatureCache(0))
    prompt = model.processor.prepare([Message("user", (TextPart("What?"),))], detail=Detail.AUTO, tools=[])
    return inline_worker(model, vision, runner, EngineOptions()), prompt


def ask(worker: Worker, prompt: PreparedPrompt) -> Generation:
    return worker.submit(prompt, SamplingOptions(max_tokens=3), ignores_end=True)


def test_a_request_that_arrives_while_others_fail_is_answered(worker_and_prompt) -> None:
    """It was failed with their error: the next question after memory had run out failed now and then."""
    worker, prompt = worker_and_prompt
    later: list[Generation] = []
    first = ask(worker, prompt)
    first.listen(lambda piece: later.append(ask(worker, prompt)) if piece is None else None)
    FailsOnce.may_fail.set()
    with pytest.raises(SmallsightError, match="the first step fails"):
        first.result()
    second = ask(worker, prompt)
    assert len(second.result().choices) == 3
    assert len(later[0].result().choices) == 3
    worker.close()


def test_closing_while_requests_fail_ends_the_worker(worker_and_prompt) -> None:
    """The wish to close was taken out of the queue with what had to fail, and close() never returned."""
    worker, prompt = worker_and_prompt
    closing = threading.Thread(target=worker.close, daemon=True)
    wants_to_close = threading.Event()

    def close_now(piece: object) -> None:
        if piece is not None:
            return
        closing.start()
        with pytest.raises(ModelClosedError):  # from then on, the wish is in the queue
            while True:
                ask(worker, prompt)
        wants_to_close.set()

    first = ask(worker, prompt)
    first.listen(close_now)
    FailsOnce.may_fail.set()
    with pytest.raises(SmallsightError, match="the first step fails"):
        first.result()
    assert wants_to_close.wait(timeout=60)
    closing.join(timeout=60)
    assert not closing.is_alive()
