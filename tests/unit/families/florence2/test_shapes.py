"""Florence-2's tensors, counted by hand where it is easy."""

from __future__ import annotations

from smallsight.catalog.catalog import load_catalog
from smallsight.families.florence2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.tensor_shape import Role, Use

SIZES = load_catalog().find("Florence-2-base").architecture.sizes


def by_name():
    return {tensor.name: tensor.shape for tensor in tensor_shapes(SIZES)}


def test_the_decoder_looks_at_the_encoder_and_the_encoder_does_not():
    shapes = by_name()
    assert shapes["decoder.layers.5.cross_query.weight"] == (768, 768)
    assert not [name for name in shapes if name.startswith("encoder") and "cross" in name]


def test_nine_blocks_in_the_third_stage():
    blocks = {name.split(".")[4] for name in by_name() if name.startswith("vision.stages.2.blocks")}
    assert blocks == {str(number) for number in range(9)}


def test_each_stage_takes_the_width_of_the_one_before():
    shapes = by_name()
    assert shapes["vision.stages.0.patches.weight"] == (128, 3, 7, 7)
    assert shapes["vision.stages.3.patches.weight"] == (1024, 512, 3, 3)
    assert shapes["vision.stages.0.norm.weight"] == (128,)
    assert shapes["vision.stages.3.norm.weight"] == (512,)


def test_depthwise_convolutions_have_one_input_channel():
    assert by_name()["vision.stages.1.blocks.0.channel.before_ffn.weight"] == (256, 1, 3, 3)


def test_the_head_is_the_embedding_table():
    assert not [tensor for tensor in tensor_shapes(SIZES) if tensor.role is Role.HEAD]
    assert [t.shape for t in tensor_shapes(SIZES) if t.use is Use.LOOKUP] == [(51328, 768)]
    assert SIZES["vocabulary"] % 64 == 0


def test_text_positions_have_two_rows_more():
    assert by_name()["encoder.positions"] == by_name()["decoder.positions"] == (1026, 768)


def test_the_cache_holds_the_answer_and_the_picture():
    assert kv_cache_bytes(SIZES) == 6 * (1024 + 577) * 2 * 768 * 2
