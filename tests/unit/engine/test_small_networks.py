"""Which networks one thread computes, and what that does to the steps of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smallsight
from smallsight.engine.decoding.worker_group import WorkerGroup
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.openvino.inline import load_inline
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.engine.small_networks import is_small_decoder, tiles_together
from smallsight.errors import ModelClosedError
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.siglip_tower import SigLIPSizes
from smallsight.families.smolvlm.family import FAMILY
from smallsight.families.step_decoder import DecoderSizes
from smallsight.quant.scheme import parse_scheme

TINY = Path(smallsight.__file__).parent / "shipped" / "Smallsight-tiny"
TINY_TOWER = SigLIPSizes(6, 192, 3, 768, 144, 768, 1e-6, 2)
BASE_TOWER = SigLIPSizes(12, 768, 12, 3072, 1024, 768, 1e-6, 4)  # of SmolVLM-256M and 500M
TINY_DECODER = DecoderSizes(4, 256, 4, 4, 64, 704, 768, 2048, 1e-5, 10_000, 64)
SMALLEST_DECODER = DecoderSizes(30, 576, 9, 3, 64, 1536, 49_280, 8192, 1e-5, 100_000, 64)  # of SmolVLM-256M


def test_our_own_model_is_small_and_the_smallest_of_others_is_not():
    assert tiles_together(TINY_TOWER) == 11
    assert is_small_decoder(TINY_DECODER)
    assert tiles_together(BASE_TOWER) == tiles_together(None) == 1
    assert not is_small_decoder(SMALLEST_DECODER)
    assert not is_small_decoder(None)


def test_steps_encode_whole_pictures_of_a_small_model_and_answers_are_those_of_each_alone():
    values = np.random.default_rng(0)
    pictures = [Image.fromarray(values.integers(0, 256, (384, 384, 3), np.uint8)) for _ in range(6)]
    engine = load_inline(FAMILY, LoadRequest(TINY, parse_scheme("int8"), threads=2))

    def started(picture):
        message = Message("user", (PicturePart(picture), TextPart("Can you describe this image?")))
        return engine.start([message], Detail.AUTO, SamplingOptions(max_tokens=12), ignores_end=True)

    def tokens(generation):
        return [choice.token_id for choice in generation.result().choices]

    together = [tokens(one) for one in [started(picture) for picture in pictures]]
    steps = engine.worker.inspect().num_steps
    engine.close()
    assert steps < 5 * len(pictures)  # each has five tiles, which a step used to encode one by one
    engine = load_inline(FAMILY, LoadRequest(TINY, parse_scheme("int8"), threads=1))
    assert together == [tokens(started(picture)) for picture in pictures]
    engine.close()


@pytest.mark.parametrize("with_kernels", [False, True])
def test_workers_side_by_side_share_the_requests_and_answer_as_one_does(with_kernels: bool):
    values = np.random.default_rng(1)
    pictures = [Image.fromarray(values.integers(0, 256, (192, 192, 3), np.uint8)) for _ in range(6)]
    found = []
    for most_workers in (1, 3):  # there are two threads
        options = EngineOptions(uses_kernels=with_kernels, most_workers=most_workers)
        engine = load_inline(FAMILY, LoadRequest(TINY, parse_scheme("int8"), threads=2, options=options))
        messages = [
            Message("user", (PicturePart(picture), TextPart("Can you describe this image?")))
            for picture in pictures
        ]
        asked = SamplingOptions(max_tokens=8)
        started = [engine.start([one], Detail.AUTO, asked, ignores_end=True) for one in messages]
        found.append([[choice.token_id for choice in one.result().choices] for one in started])
        scores = engine.score(messages[:1], Detail.AUTO, found[0][0]).result().scores
        assert scores is not None
        assert list(scores.token_ids) == found[0][0]
        assert engine.num_workers == min(2, most_workers)
        if isinstance(engine.worker, WorkerGroup):
            assert all(worker.inspect().num_steps > 0 for worker in engine.worker.workers)
        engine.close()
        with pytest.raises(ModelClosedError):
            engine.start(messages[:1], Detail.AUTO, asked, ignores_end=True)
    assert found[0] == found[1]
