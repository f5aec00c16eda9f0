"""The encoder of smallsight-kernels: its paths against the reference by layer, and a model that uses it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from encoder_paths import HAS_ENCODER, PATHS, runs
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.native.tile_encoder import (
    NativeTileEncoder,
    bf16_obstacle,
    bind_encoder,
    encoder_obstacle,
    native_tile_encoder,
    product_number,
)
from smallsight.engine.openvino.tile_encoders import make_tile_encoder
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.families.messages import Tile
from smallsight.families.siglip_tower import SigLIPSizes, SigLIPTower
from smallsight.families.smolvlm.config import SmolVLMVisionConfig
from smallsight.families.smolvlm.family import FAMILY
from smallsight.machine.extension import INTERFACE, find_extension
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import parse_scheme
from tiny_smolvlm import SHAPES, make_checkpoint

EXAMPLES = Path(__file__).parents[4] / "examples"
SHIPPED = Path(__file__).parents[4] / "src/smallsight/shipped/Smallsight-tiny"
needs_encoder = pytest.mark.skipif(not HAS_ENCODER, reason=encoder_obstacle())

SIZES = {
    "heads of 64": SigLIPSizes(3, 128, 2, 320, 64, 192, 1e-6, 2),
    "heads of 24, 25 patches, two segments": SigLIPSizes(2, 96, 4, 1600, 25, 192, 1e-6, 5),
    "heads of 72, 49 patches": SigLIPSizes(2, 144, 2, 272, 49, 48, 1e-6, 7),
    "169 patches": SigLIPSizes(2, 64, 2, 128, 169, 48, 1e-6, 13),
    "324 patches, two chunks of keys": SigLIPSizes(1, 128, 2, 128, 324, 48, 1e-6, 6),
}
LARGEST_ERROR = {
    "bf16": 0.006,
    "int8": 0.02,
    "int8-groups": 0.02,
    "int7": 0.02,
    "int16": 0.02,
}  # of an output's length, against float32
TEXT_HIDDEN = 48


def random_tower(sizes, *, score_scale=1.0):
    """Return a tower whose attention and inner layers matter, in float32."""
    values = np.random.default_rng(3)

    def matrix(rows, columns):
        return values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)

    stored = {
        "vision.patches.weight": matrix(sizes.hidden, sizes.patch_width),
        "vision.positions": values.standard_normal((sizes.patches, sizes.hidden), np.float32),
        "connector.weight": matrix(TEXT_HIDDEN, sizes.hidden * sizes.pixel_shuffle**2),
    }
    shapes = {
        "attention": (3 * sizes.hidden, sizes.hidden),
        "output": (sizes.hidden, sizes.hidden),
        "ffn_up": (sizes.ffn, sizes.hidden),
        "ffn_down": (sizes.hidden, sizes.ffn),
    }
    names = ["vision.norm"]
    for layer in range(sizes.layers):
        name = f"vision.layers.{layer}"
        names += [f"{name}.attention_norm", f"{name}.ffn_norm"]
        for one, shape in shapes.items():
            stored[f"{name}.{one}.weight"] = matrix(*shape)
            stored[f"{name}.{one}.bias"] = values.standard_normal(shape[0]).astype("f4")
        stored[f"{name}.attention.weight"][: sizes.hidden] *= np.float32(score_scale)
    for name in names:
        stored[f"{name}.weight"] = values.uniform(0.5, 1.5, sizes.hidden).astype("f4")
        stored[f"{name}.bias"] = values.standard_normal(sizes.hidden).astype("f4")
    return SigLIPTower(sizes, stored)


def reference_of(tower, patches_PC):
    sizes = tower.sizes
    vision = SmolVLMVisionConfig(
        hidden=sizes.hidden,
        ffn=sizes.ffn,
        layers=sizes.layers,
        heads=sizes.heads,
        patch_px=1,
        image_px=round(sizes.patches**0.5),
        norm_epsilon=sizes.norm_epsilon,
    )
    config = SimpleNamespace(vision=vision, pixel_shuffle=sizes.pixel_shuffle)
    reference = SigLIPReference(config, tower.stored, lambda _: patches_PC[None], FeatureCache(0))
    return reference.encode([Tile(np.zeros((1, 1, 3), np.uint8), b"tile")])[0]


def encode(tower, patches_PC, number, *, path, threads=1):
    encoder = bind_encoder(tower, threads, path, lambda *_: number)
    features_TD = np.empty(encoder.output_shape, np.float32)
    encoder.run(patches_PC, features_TD)
    return features_TD


def numbers_of(path):
    """Return the numbers in which a path multiplies, with the largest error of each."""
    others = set() if path in ("plain", "avx2") else {"int7", "int16"}
    missing = others | ({"int8-groups"} if path == "amx" else set())
    return {number: most for number, most in LARGEST_ERROR.items() if number not in missing}


def patches_for(sizes, seed=1):
    return np.random.default_rng(seed).standard_normal((sizes.patches, sizes.patch_width), np.float32)


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@needs_encoder
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SIZES)
def test_every_layer_is_that_of_the_reference(name, path):
    tower = random_tower(SIZES[name])
    patches_PC = patches_for(tower.sizes)
    for layers in range(1, tower.sizes.layers + 1):
        lower = replace(tower, sizes=replace(tower.sizes, layers=layers))
        expected_TD = reference_of(lower, patches_PC)
        for number, largest in numbers_of(path).items():
            error = relative_error(encode(lower, patches_PC, number, path=path), expected_TD)
            assert error < largest, f"{layers} layers in {number}: {error}"


@needs_encoder
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("score_scale", [60.0, 2000.0])
def test_scores_beyond_the_range_of_numbers_are_no_obstacle(path, score_scale):
    tower = random_tower(replace(SIZES["heads of 64"], layers=1), score_scale=score_scale)
    patches_PC = patches_for(tower.sizes)
    found_TD = encode(tower, patches_PC, "bf16", path=path)
    # Such attention looks at one key, and rounded scores may have another largest one now and then.
    errors_T = np.linalg.norm(found_TD - reference_of(tower, patches_PC), axis=1)
    lengths_T = np.linalg.norm(found_TD, axis=1)
    assert np.isfinite(found_TD).all()
    assert np.median(errors_T / lengths_T) < 0.1


@needs_encoder
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", LARGEST_ERROR)
def test_weights_and_inputs_of_one_sign_do_not_overflow_a_sum(path, number):
    if number not in numbers_of(path):
        pytest.skip(f"{path} does not multiply in {number}")
    tower = random_tower(replace(SIZES["heads of 64"], layers=1))
    tower.stored["vision.layers.0.ffn_norm.bias"][:] += 20
    for name in ("ffn_up", "ffn_down"):
        weight = tower.stored[f"vision.layers.0.{name}.weight"]
        np.copyto(weight, np.float32(1 / 128))
        weight[::2] *= -1
    patches_PC = patches_for(tower.sizes)
    error = relative_error(encode(tower, patches_PC, number, path=path), reference_of(tower, patches_PC))
    assert error < LARGEST_ERROR[number]


@needs_encoder
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", LARGEST_ERROR)
def test_a_tile_has_the_same_bits_after_others_and_on_any_threads(path, number):
    if number not in numbers_of(path):
        pytest.skip(f"{path} does not multiply in {number}")
    tower = random_tower(SIZES["heads of 24, 25 patches, two segments"])
    tiles = [patches_for(tower.sizes, seed) for seed in range(3)]
    alone = [encode(tower, one, number, path=path) for one in tiles]
    encoder = bind_encoder(tower, 3, path, lambda *_: number)
    for order in ((0, 1, 2), (2, 0, 1, 1, 0)):
        for index in order:
            features_TD = np.empty(encoder.output_shape, np.float32)
            encoder.run(tiles[index], features_TD)
            np.testing.assert_array_equal(features_TD, alone[index])


@needs_encoder
@pytest.mark.parametrize("path", PATHS)
def test_encoders_with_the_same_weights_run_at_once(path):
    tower = random_tower(SIZES["heads of 72, 49 patches"])
    first = bind_encoder(tower, 1, path, lambda *_: "int8")
    both = [first, first.twin(2)]
    tiles = [patches_for(tower.sizes, seed) for seed in range(2)]
    expected = [encode(tower, one, "int8", path=path) for one in tiles]
    del first
    found = [np.empty(one.output_shape, np.float32) for one in both]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(5):
            list(threads.map(lambda encoder, tile, out: encoder.run(tile, out), both, tiles, found))
            np.testing.assert_array_equal(found, expected)
    twin = both.pop()
    del both
    twin.run(tiles[0], found[0])
    np.testing.assert_array_equal(found[0], expected[0])


@needs_encoder
def test_arguments_of_other_sizes_are_rejected():
    tower = random_tower(SIZES["heads of 64"])
    encoder = bind_encoder(tower, 1, "plain")
    right = np.empty(encoder.output_shape, np.float32)
    with pytest.raises(ValueError, match="sizes"):
        encoder.run(patches_for(tower.sizes)[:-1], right)
    with pytest.raises(ValueError, match="sizes"):
        encoder.run(patches_for(tower.sizes), right[:-1])
    with pytest.raises(ValueError, match="path"):
        bind_encoder(tower, 1, "other")
    empty = find_extension().module.Encoder(1, 64, 1, 64, 16, 48, 1e-6, 1, "plain")
    with pytest.raises(ValueError, match="not set"):
        empty.twin(1)
    with pytest.raises(ValueError, match="not set"):
        empty.run(np.empty((16, 48), np.float32), np.empty((16, 64), np.float32))


def test_only_weights_that_lose_nothing_by_it_are_multiplied_as_integers():
    matrix = np.random.default_rng(0).standard_normal((32, 128), np.float32)
    chosen = {
        path: {form: product_number(form.store(matrix), path) for form in Storage}
        for path in ("amx", "avx512", "avx2")
    }
    for path, numbers in chosen.items():
        assert numbers[Storage.INT8_ROWS] == "int8", path
        assert numbers[Storage.BF16] == numbers[Storage.FP32] == "bf16", path
    int8, int4 = Storage.INT8_GROUPS, Storage.INT4_SEARCHED
    assert (chosen["amx"][int8], chosen["amx"][int4]) == ("bf16", "int8")
    assert (chosen["avx512"][int8], chosen["avx512"][int4]) == ("int8-groups", "int8-groups")
    assert (chosen["avx2"][int8], chosen["avx2"][int4]) == ("int16", "int7")


def test_a_tower_reads_its_matrices_as_the_checkpoint_has_them_unless_their_form_was_chosen(folder):
    model = FAMILY.open_inline(folder, parse_scheme("int8"), EngineOptions().tiled_bytes)
    exact = dict(FAMILY.open_inline(folder, parse_scheme("fp32"), EngineOptions().tiled_bytes).store())
    tower = model.siglip_tower(dict(model.store()))
    found = {(layer, name): weight for layer, name, weight in tower.read_matrices()}
    assert set(found) == set(product(range(tower.sizes.layers), tower.MATRICES))
    for (layer, name), weight in found.items():
        assert np.array_equal(weight, exact[f"vision.layers.{layer}.{name}.weight"])
    chosen = FAMILY.open_inline(folder, parse_scheme("int8; vision=int8-groups"), EngineOptions().tiled_bytes)
    assert chosen.siglip_tower({}).read_matrices is None


@pytest.mark.skipif(not runs("amx"), reason="AMX rounds the checkpoint's matrices in its own way")
def test_int8_on_amx_is_as_close_to_float32_as_openvino_is():
    tiles = [
        Tile(np.asarray(Image.open(path).convert("RGB").resize((192, 192))), path.name.encode())
        for path in sorted(EXAMPLES.rglob("*.jpg"))
    ]
    exact = encode_tiles(tile_encoder(SHIPPED, "fp32", uses_kernels=False), tiles)
    lost = {}
    for uses_kernels in (False, True):
        found = encode_tiles(tile_encoder(SHIPPED, "int8", uses_kernels=uses_kernels), tiles)
        lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(exact, axis=-1)
        lost[uses_kernels] = float((1 - (found * exact).sum(axis=-1) / lengths).mean())
    assert lost[True] < 1.2 * lost[False]  # in so few pictures a fifth is chance
    assert lost[True] < 1e-4


def encode_tiles(encoder, tiles):
    return np.concatenate(encoder.encode(tiles)).astype(np.float64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", SHAPES[0])


def tile_encoder(folder, precision, *, uses_kernels):
    scheme, options = parse_scheme(precision), EngineOptions(uses_kernels=uses_kernels)
    model = FAMILY.open_inline(folder, scheme, options.tiled_bytes)
    weights = open_stored(model, LoadRequest(folder, scheme, threads=1, options=options))
    return make_tile_encoder(model, weights, FeatureCache(0))


@pytest.mark.parametrize("precision", ["int8", "int4", "bf16"])
def test_a_model_that_uses_it_sees_what_openvino_sees(folder, precision, capsys):
    side = SHAPES[0].tile_px
    tile = Tile(np.random.default_rng(2).integers(0, 256, (side, side, 3), np.uint8), b"tile")
    found, expected = (
        tile_encoder(folder, precision, uses_kernels=one).encode([tile])[0] for one in (True, False)
    )
    assert relative_error(found, expected) < 0.03
    reason = encoder_obstacle() or (bf16_obstacle() if precision == "bf16" else "")
    assert (reason or "tile_kernels_used") in "".join(capsys.readouterr())


def test_without_the_extension_openvino_encodes_and_the_log_says_why(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "smallsight_kernels", None)
    find_extension.cache_clear()
    try:
        tower = random_tower(SIZES["heads of 64"])
        assert native_tile_encoder(tower, lambda _: np.empty(0), FeatureCache(0), 1) is None
    finally:
        find_extension.cache_clear()
    assert "smallsight-kernels is not installed" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("interface", "reason"), [(INTERFACE, "not permit AMX"), (INTERFACE - 1, "of another version")]
)
def test_an_extension_that_cannot_encode_here_leaves_it_to_openvino(interface, reason, monkeypatch, capsys):
    obstacle = "the system does not permit AMX"
    module = SimpleNamespace(
        INTERFACE=interface, path_name=lambda _: "avx2", encoder_obstacle=lambda: obstacle
    )
    monkeypatch.setitem(sys.modules, "smallsight_kernels", module)
    find_extension.cache_clear()
    try:
        tower = random_tower(replace(SIZES["heads of 64"], layers=1))
        assert native_tile_encoder(tower, lambda _: np.empty(0), FeatureCache(0), 1) is None
    finally:
        find_extension.cache_clear()
    assert reason in "".join(capsys.readouterr())


def test_towers_and_schemes_that_it_does_not_compute_are_left_to_openvino(capsys):
    tower = random_tower(replace(SIZES["heads of 64"], hidden=72, heads=1, layers=1))
    cache = FeatureCache(0)
    assert native_tile_encoder(None, lambda _: np.empty(0), cache, 1) is None
    assert native_tile_encoder(tower, lambda _: np.empty(0), cache, 1) is None
    fitting = random_tower(replace(SIZES["heads of 64"], layers=1))
    assert native_tile_encoder(fitting, lambda _: np.empty(0), cache, 1, rounds_activations=False) is None
    printed = "".join(capsys.readouterr())
    reasons = ("another tower", "multiples of 16", "in f32")
    assert all((encoder_obstacle() or reason) in printed for reason in reasons)


@needs_encoder
@pytest.mark.parametrize("num_tiles", [1, 2, 7])
def test_tiles_that_are_encoded_side_by_side_have_the_bits_of_one_by_one(num_tiles):
    tower = random_tower(SIZES["heads of 64"])
    tiles = [Tile(np.full((1, 1, 3), number, np.uint8), bytes([number])) for number in range(num_tiles)]
    encoder = bind_encoder(tower, 1, "plain", lambda *_: "bf16")
    together = NativeTileEncoder(
        encoder,
        lambda pixels_HWC: patches_for(tower.sizes, seed=int(pixels_HWC[0, 0, 0]))[None],
        FeatureCache(1 << 20),
        twins=[encoder.twin(1), encoder.twin(1)],
        tiles_at_once=7,
    )
    for tile, features_TD in zip(tiles, together.encode(tiles), strict=True):
        alone_TD = encode(tower, patches_for(tower.sizes, seed=tile.digest[0]), "bf16", path="plain")
        np.testing.assert_array_equal(features_TD, alone_TD)
        np.testing.assert_array_equal(together.known(tile), alone_TD)


@needs_encoder
def test_an_encoder_that_failed_side_by_side_encodes_again():
    tower = random_tower(SIZES["heads of 64"])
    tiles = [Tile(np.full((1, 1, 3), number, np.uint8), bytes([number])) for number in range(6)]

    def to_patches(pixels_HWC):
        if pixels_HWC[0, 0, 0] == 4:
            raise MemoryError
        return patches_for(tower.sizes)[None]

    encoder = bind_encoder(tower, 1, "plain", lambda *_: "bf16")
    together = NativeTileEncoder(
        encoder, to_patches, FeatureCache(0), twins=[encoder.twin(1)], tiles_at_once=6
    )
    with pytest.raises(MemoryError):
        together.encode(tiles)
    assert len(together.encode(tiles[:3])) == 3
