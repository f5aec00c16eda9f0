"""The torch engine on a CUDA device, beside the CPU. Where there is no such device, these tests are skipped.

``SMALLSIGHT_TEST_DEVICE=cpu`` runs those that do not need one on the CPU, to try the tests themselves.
"""

from __future__ import annotations

import gc
import io
import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

import smallsight
from smallsight.engine.engine import EngineOptions
from smallsight.engine.loading import TORCH, load_engine
from smallsight.engine.torch.device import choose_device
from smallsight.engine.torch.packages import has_bitsandbytes
from smallsight.errors import OutOfResourcesError
from smallsight.model.picture_argument import NamedVideo
from smallsight.model.shown_parts import open_video
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import TORCH_SCHEMES
from smallsight.settings import Limits, Settings
from tiny_florence2 import TinyFlorence2, write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import VIDEO_SHAPES, TinyShape, make_checkpoint

DEVICE = os.environ.get("SMALLSIGHT_TEST_DEVICE", "cuda")
HAS_CUDA = torch.cuda.is_available()
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="needs a CUDA device")
pytestmark = [
    pytest.mark.skipif(DEVICE == "cuda" and not HAS_CUDA, reason="needs a CUDA device"),
    # Importing torch's compiler warns of parts of torch.
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]

FAMILIES = ("smolvlm", "florence2", "moondream2")
ASKED = {"max_tokens": 24, "ignore_stop": True}
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 60 + 37 * seed, 3), np.uint8))
    for seed in range(6)
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = tmp_path_factory.mktemp("tiny")
    shape = next(one for one in MOONDREAM2 if one.layers == 1)
    return {
        "smolvlm": make_checkpoint(made / "smolvlm", VIDEO_SHAPES[0]),
        "florence2": write_tiny_florence2(made / "florence2", TinyFlorence2("two", layers=(1, 2))),
        "moondream2": write_tiny_moondream2(made / "moondream2", shape),
    }


def animation():
    """Return a GIF of three frames, which needs no package for videos."""
    file = io.BytesIO()
    frames = [one.resize((90, 80)) for one in PICTURES[:3]]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=500)
    return file.getvalue()


def opened(family, folder, device, precision="fp32", *, compile=False, **options):  # noqa: A002 - load's name
    chosen = EngineOptions(**{"chunk_tokens": 32, "cache_bytes": 4 << 20, "max_sequences": 4, **options})
    engine = load_engine(
        family, folder, TORCH_SCHEMES[precision], engine=TORCH, device=device, options=chosen, compile=compile
    )
    return VisionLanguageModel(engine, name="tiny", precision=precision, limits=Limits())


def answers(model, family):
    """Return the tokens of answers together and alone, to other words too."""
    found = [one.token_ids for one in model.describe_many(PICTURES, **ASKED)]
    found.append(model.describe(PICTURES[2], **ASKED).token_ids)
    words = "<OCR>" if family == "florence2" else "What colour is it?"
    found.append(model.ask(PICTURES[4], words, **ASKED).token_ids)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_answers_are_those_of_the_cpu(folders, family):
    with opened(family, folders[family], "cpu") as model:
        expected = answers(model, family)
    with opened(family, folders[family], DEVICE) as model:
        assert answers(model, family) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_answers_are_those_of_the_cpu(folders, family):
    with opened(family, folders[family], "cpu") as model:
        expected = answers(model, family)
    with opened(family, folders[family], DEVICE, compile=True) as model:
        assert answers(model, family) == expected


def test_several_pictures_and_a_video(folders):
    def ask(device):
        with opened("smolvlm", folders["smolvlm"], device) as model:
            video = NamedVideo(None, open_video(animation(), model.frame_sampling, Limits()))
            several = model.ask(PICTURES[:3], "What differs?", detail="high", **ASKED).token_ids
            return several, model.ask([video], "What happens?", **ASKED).token_ids

    assert ask(DEVICE) == ask("cpu")


def test_the_shipped_model_says_the_same_as_on_the_cpu(tmp_path):
    """Its answers are clear, so that they do not hang on the last bits of a sum."""
    settings = Settings(home=tmp_path)
    found = []
    for device in ("cpu", DEVICE):
        with smallsight.load(
            "Smallsight-tiny", engine="torch", device=device, precision="fp32", settings=settings
        ) as model:
            found.append([one.text for one in model.describe_many(PICTURES)])
    assert found[0] == found[1]


@pytest.mark.skipif(not has_bitsandbytes(), reason="needs bitsandbytes and accelerate")
@pytest.mark.parametrize("precision", ["int8", "nf4"])
@pytest.mark.parametrize("family", FAMILIES)
def test_quantised_recipes_answer_and_are_smaller(folders, family, precision):
    with opened(family, folders[family], DEVICE, "bf16") as model:
        plain_bytes = model._engine.weights_bytes  # noqa: SLF001 - the model does not say it
    with opened(family, folders[family], DEVICE, precision) as model:
        assert model._engine.weights_bytes < plain_bytes  # noqa: SLF001
        assert all(answers(model, family))


@needs_cuda
def test_cuda_is_chosen_by_itself_and_says_why():
    device = choose_device(None)
    assert device.kind == "cuda"
    assert torch.cuda.get_device_name(device.name) in device.reason
    assert "chosen automatically" in device.reason


@needs_cuda
def test_memory_that_runs_out_is_reported_and_the_next_request_works(tmp_path):
    wide = TinyShape("wide", hidden=1024, heads=32, kv_heads=32, head_dim=32, layers=1)
    folder = make_checkpoint(tmp_path / "wide", wide)
    most = {"chunk_tokens": 8192, "max_step_tokens": 8192, "cache_bytes": 512 << 20, "feature_cache_bytes": 0}
    with opened("smolvlm", folder, "cuda", **most) as model:
        shown, words = PICTURES[:6], "What?" * 1500
        first = model.ask(PICTURES[0], "What?", **ASKED).token_ids
        expected = model.ask(shown, words, detail="high", **ASKED).token_ids
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (4 << 20)) / total)
        try:
            with pytest.raises(
                OutOfResourcesError, match=r"needed [\d,]+ MiB more; [\d,]+ MiB are free on cuda"
            ):
                model.ask(shown, words, detail="high", **ASKED)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        assert model.ask(PICTURES[0], "What?", **ASKED).token_ids == first
        assert model.ask(shown, words, detail="high", **ASKED).token_ids == expected


@needs_cuda
def test_a_closed_model_gives_its_memory_back(folders):
    def held():
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    for compiled in (False, True):
        before = held()
        with opened("smolvlm", folders["smolvlm"], "cuda", compile=compiled) as model:
            answers(model, "smolvlm")
            assert held() > before
        del model
        assert held() <= before + (2 << 20), f"compiled: {compiled}"


@needs_cuda
def test_a_missing_device_is_a_sentence():
    number = torch.cuda.device_count()
    with pytest.raises(smallsight.errors.ArgumentError, match=re.escape(f"no device 'cuda:{number}'")):
        choose_device(f"cuda:{number}")
