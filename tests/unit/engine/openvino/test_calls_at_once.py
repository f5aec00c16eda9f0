"""Networks for calls that run at once compute what one network computes, however often they are compiled.

Two streams of one network did not: with AMX, 21 of 300 that were compiled over the 8-bit weights of this
tower, which is 48 wide, were wrong in every call (openvino 2026.4.1), so that a picture's features differed
from load to load.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.families.smolvlm.family import FAMILY
from smallsight.quant.scheme import parse_scheme
from tiny_smolvlm import SHAPES, make_checkpoint

NUM_LOADS = 40


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_features_are_the_same_after_every_load(tmp_path: Path, precision: str):
    folder, scheme = make_checkpoint(tmp_path / "tiny", SHAPES[0]), parse_scheme(precision)
    model = FAMILY.open_inline(folder, scheme, EngineOptions().tiled_bytes)
    weights = open_stored(model, LoadRequest(folder, scheme, threads=2))
    sizes = model.siglip_tower(weights.stored).sizes
    patches_1PC = np.random.default_rng(0).standard_normal((1, sizes.patches, sizes.patch_width), np.float32)
    found = set()
    for _ in range(NUM_LOADS):
        for request in weights.compile_for_calls_at_once(model.vision_graph, 2):
            request.infer([patches_1PC])
            found.add(request.get_output_tensor(0).data.tobytes())
    assert len(found) == 1
