"""``validate`` says how far the extension's answers are from OpenVINO's, in real processes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from native_decoders import needs_extension
from smallsight.services.validating import ValidationRequest, validate
from smallsight.settings import Settings
from smallsight.validation.measured_system import WantedSystem


class Silent:
    def planned(self, plan):
        self.titles = plan.base.title, plan.variants[0].title

    def doing(self, what):
        pass

    def finished_piece(self):
        pass


@needs_extension
@pytest.mark.slow
def test_the_distance_is_small_and_not_nothing(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(2):
        values = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(values).save(pictures / f"{seed}.png")
    base, variant = (
        WantedSystem("Smallsight-tiny", "int8", engine=engine) for engine in ("openvino-alone", "kernels")
    )
    observer = Silent()
    request = ValidationRequest((variant,), base, pictures, max_tokens=8, num_rounds=1)
    with validate(request, Settings(home=tmp_path / "home", threads=1), observer) as (result,):
        assert observer.titles == (
            "Smallsight-tiny-int8 in OpenVINO alone",
            "Smallsight-tiny-int8 with smallsight-kernels",
        )
        assert [result.base.system.engine, result.variant.system.engine] == ["openvino-alone", "kernels"]
        assert result.summary.num_pictures == 2
        assert 0 < result.summary.kl_nats.mean < 1  # equal bits would mean that one side computed both
