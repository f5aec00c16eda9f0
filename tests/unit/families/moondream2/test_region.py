"""Numbers to features."""

from __future__ import annotations

import math

import numpy as np

from smallsight.families.moondream2.region import encoder_of


def test_numbers_become_waves_and_then_a_vector():
    random = np.random.default_rng(0)
    stored = {
        "region.size_frequencies": random.standard_normal((2, 3)).astype(np.float32),
        "region.size_encoder.weight": random.standard_normal((5, 6)).astype(np.float32),
        "region.size_encoder.bias": random.standard_normal(5).astype(np.float32),
    }
    got = encoder_of(stored, "size").encode((0.25, 0.5))
    angles = [2 * math.pi * (0.25 * a + 0.5 * b) for a, b in stored["region.size_frequencies"].T]
    waves = [math.cos(one) for one in angles] + [math.sin(one) for one in angles]
    expected = stored["region.size_encoder.weight"] @ waves + stored["region.size_encoder.bias"]
    np.testing.assert_allclose(got, expected, atol=1e-5)
