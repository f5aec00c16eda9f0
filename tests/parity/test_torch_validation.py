"""``validate`` compares the torch engine with the OpenVINO engine on one model, in real processes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smallsight.services.validating import ValidationRequest, validate
from smallsight.settings import Settings
from smallsight.validation.measured_system import WantedSystem, resolve_systems
from tiny_moondream2 import SHAPES, write_tiny_moondream2


class Silent:
    def planned(self, plan):
        self.titles = plan.base.title, plan.variants[0].title

    def doing(self, what):
        pass

    def finished_piece(self):
        pass


@pytest.mark.slow
def test_both_engines_say_the_same_in_fp32(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "tiny", SHAPES[0])
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        values = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(values).save(pictures / f"{seed}.png")
    settings = Settings(home=tmp_path / "home", threads=1)
    variant, base = (WantedSystem(str(folder), "fp32", engine=engine) for engine in ("torch", "openvino"))
    observer = Silent()
    request = ValidationRequest((variant,), base, pictures, max_tokens=8, num_rounds=1)
    with validate(request, settings, observer) as (result,):
        assert observer.titles == ("tiny-fp32", "tiny-fp32 on the torch engine")
        assert [result.base.system.engine, result.variant.system.engine] == ["openvino", "torch"]
        assert result.summary.num_pictures == 3
        assert result.summary.agreement.mean == 1
        assert abs(result.summary.kl_nats.mean) < 1e-6
        assert all(one.tokens.first_divergence is None for one in result.pictures)
        assert result.variant.memory.weights_bytes > 0


def test_forms_of_the_torch_engine_have_an_identity(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "tiny", SHAPES[0])
    base = WantedSystem(str(folder), "int8")
    for precision, form in (("int8", "int8-rows"), ("nf4", "nf4-double"), ("fp16", "bf16")):
        variant = WantedSystem(str(folder), precision, engine="torch")
        _, found = resolve_systems(variant, base, Settings(home=tmp_path / "home"))
        described = found.described("key")
        assert described.engine == "torch"
        assert f"text={form}" in described.scheme
