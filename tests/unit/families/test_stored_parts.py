"""Stored weights are counted by part of the model, whatever the family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smallsight
from smallsight.engine.loading import load_engine
from smallsight.families.stored_parts import PartWeights, count_parts
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import scheme_named
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2

SHIPPED = Path(smallsight.__file__).parent / "shipped" / "Smallsight-tiny"
MATRIX = np.ones((4, 64), np.float32)


def test_weights_of_one_part_and_form_are_added_up():
    stored = {
        "text.layers.0.output.weight": Storage.INT8_GROUPS.store(MATRIX),
        "text.layers.1.output.weight": Storage.INT8_GROUPS.store(MATRIX),
        "text.norm.weight": np.ones(64, np.float32),
        "decoder.layers.0.ffn_up.weight": Storage.BF16.store(MATRIX),
        "region.up.weight": Storage.BF16.store(MATRIX),
    }
    assert count_parts(stored) == (
        PartWeights("other", "bf16", 256, 512),
        PartWeights("text", "bf16", 256, 512),
        PartWeights("text", "fp32", 64, 256),
        PartWeights("text", "int8-groups-64", 512, 2 * (256 + 4 * 2)),
    )


def write_model(family, folder):
    if family == "florence2":
        return write_tiny_florence2(folder, FLORENCE2[0])
    if family == "moondream2":
        return write_tiny_moondream2(folder, MOONDREAM2[0])
    return SHIPPED


@pytest.mark.parametrize("family", ["smolvlm", "florence2", "moondream2"])
def test_every_stored_byte_of_a_model_is_in_a_part(family, tmp_path):
    engine = load_engine(family, write_model(family, tmp_path / "model"), scheme_named("int8"), threads=1)
    engine.close()
    stored = [one for one in engine.parts if one.part != "embeddings"]
    assert sum(one.num_bytes for one in stored) == engine.weights_bytes
    region = {"other"} if family == "moondream2" else set()
    assert {one.part for one in engine.parts} == {
        "vision",
        "connector",
        "text",
        "head",
        "embeddings",
    } | region
