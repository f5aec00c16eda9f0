"""Decoding compiled by torch: the tokens of the plain engine, with every shape compiled while loading."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from torch._dynamo.utils import counters

import smallsight
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import OPENVINO, TORCH, load_engine
from smallsight.errors import ArgumentError, ModelNotRunnableError
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import TinyFlorence2, write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import VIDEO_SHAPES, make_checkpoint

# Importing torch's compiler warns of parts of torch.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 60 + 37 * seed, 3), np.uint8))
    for seed in range(3)
]


def num_compiled():
    return counters["stats"]["unique_graphs"]


def opened(folder, family="smolvlm", **load):
    options = EngineOptions(chunk_tokens=32, cache_bytes=4 << 20, max_sequences=3)
    engine = load_engine(
        family, folder, SCHEMES["fp32"], engine=TORCH, device="cpu", threads=1, options=options, **load
    )
    return VisionLanguageModel(engine, name="tiny", precision="fp32", limits=Limits())


@pytest.mark.slow
def test_compiled_answers_are_the_same_and_nothing_is_compiled_afterwards(tmp_path):
    """In answers alone and together, of all lengths of block tables that they reach."""
    folder = make_checkpoint(tmp_path / "model", VIDEO_SHAPES[0])
    long = {"max_tokens": 150, "detail": "low", "ignore_stop": True}
    with opened(folder) as plain:
        expected = [one.token_ids for one in plain.describe_many(PICTURES, **long)]
    progress, before = [], num_compiled()
    with opened(folder, compile=True, on_progress=progress.append) as model:
        assert num_compiled() > before
        assert progress == sorted(progress)
        assert progress[0] < 0.5 < progress[-2] < progress[-1] == 1  # loading, then compiling
        assert len(progress) > 3
        ready = num_compiled()
        assert [one.token_ids for one in model.describe_many(PICTURES, **long)] == expected
        assert model.describe(PICTURES[1], **long).token_ids == expected[1]
        assert num_compiled() == ready
        network = weakref.ref(model._engine.held)  # noqa: SLF001 - who holds it is the question
    del model
    gc.collect()
    assert network() is None


TASKS = ("<CAPTION>", "<DETAILED_CAPTION>", "<OD>", "<OCR>", "<CAPTION>")


def search(model):
    """Answer several prompts together and one alone, with answers that end at different positions."""
    asked = [(image, task, 4 + 9 * number) for number, task in enumerate(TASKS) for image in PICTURES]
    found = []
    for beams in (None, 1):
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = pool.map(
                lambda one, beams=beams: model.ask(*one[:2], max_tokens=one[2], num_beams=beams), asked
            )
            found += [(one.token_ids, one.finish_reason) for one in answers]
    long = model.ask(PICTURES[0], "<MORE_DETAILED_CAPTION>", max_tokens=150, ignore_stop=True)
    return [*found, (long.token_ids, long.finish_reason)]


def test_compiled_beam_search_gives_the_same_answers(tmp_path):
    folder = write_tiny_florence2(tmp_path / "florence2", TinyFlorence2("two-layers", layers=(1, 2)))
    with opened(folder, "florence2") as plain:
        expected = search(plain)
    assert len({len(tokens) for tokens, _ in expected}) > 2
    before, progress = num_compiled(), []
    with opened(folder, "florence2", compile=True, on_progress=progress.append) as model:
        assert num_compiled() > before
        assert progress[0] < 0.5 < progress[-2] < progress[-1] == 1  # loading, then compiling
        ready = num_compiled()
        assert search(model) == expected
        assert num_compiled() == ready
        network = weakref.ref(model._engine.held)  # noqa: SLF001 - who holds it is the question
    del model
    gc.collect()
    assert network() is None


def test_a_compiled_moondream2_gives_the_same_answers(tmp_path):
    folder = write_tiny_moondream2(
        tmp_path / "moondream2", next(one for one in MOONDREAM2 if one.layers == 1)
    )
    long = {"max_tokens": 40, "ignore_stop": True}
    with opened(folder, "moondream2") as plain:
        expected = [one.token_ids for one in plain.describe_many(PICTURES, **long)]
    before = num_compiled()
    with opened(folder, "moondream2", compile=True) as model:
        assert num_compiled() > before
        ready = num_compiled()
        assert [one.token_ids for one in model.describe_many(PICTURES, **long)] == expected
        assert num_compiled() == ready


def test_what_cannot_be_compiled_is_a_sentence(tmp_path):
    with pytest.raises(ArgumentError, match="Only the engine 'torch' can compile"):
        smallsight.load("Smallsight-tiny", compile=True)
    folder = write_tiny_florence2(tmp_path / "florence2", FLORENCE2[1])
    with pytest.raises(ModelNotRunnableError, match="'openvino' has no option"):
        load_engine("florence2", folder, SCHEMES["fp32"], engine=OPENVINO, compile=True)
