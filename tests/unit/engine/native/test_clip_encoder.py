"""CLIP's tower in smallsight-kernels: every path against numpy, and the same bits in any company."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest

from encoder_paths import HAS_ENCODER, PATHS
from smallsight.engine.native.picture_tower import pictures_together
from smallsight.engine.native.tile_encoder import bind_encoder, encoder_obstacle
from smallsight.families.siglip_tower import SigLIPSizes, SigLIPTower
from smallsight.machine.extension import find_extension

pytestmark = pytest.mark.skipif(not HAS_ENCODER, reason=encoder_obstacle())

ACTIVATIONS = {
    "gelu_pytorch_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2))),
}
SIZES = {
    "50 tokens, heads of 64, two segments": (3, 128, 2, 1600, 49, 192),
    "17 tokens, heads of 24": (2, 96, 4, 160, 16, 192),
    "197 tokens": (2, 64, 2, 128, 196, 48),
    "33 tokens, the last alone in its panel": (1, 64, 1, 128, 32, 48),
}
LARGEST_ERROR = {"bf16": 0.006, "int8": 0.02, "int7": 0.02}  # of an output's length, against float64
DIMENSIONS = 40
EPSILON = 1e-5


def sizes_of(name, activation="quick_gelu"):
    return SigLIPSizes(*SIZES[name], EPSILON, activation=activation, has_first_token=True)


def random_tower(sizes):
    """Return a tower whose attention and inner layers matter, in float32."""
    values = np.random.default_rng(3)

    def matrix(rows, columns):
        return values.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)

    stored = {
        "vision.patches.weight": matrix(sizes.hidden, sizes.patch_width),
        "vision.positions": values.standard_normal((sizes.tokens, sizes.hidden), np.float32),
        "vision.projection.weight": matrix(DIMENSIONS, sizes.hidden),
    }
    names = ["vision.norm", "vision.first_norm"]
    for layer in range(sizes.layers):
        name = f"vision.layers.{layer}"
        names += [f"{name}.attention_norm", f"{name}.ffn_norm"]
        for one, shape in {
            "attention": (3 * sizes.hidden, sizes.hidden),
            "output": (sizes.hidden, sizes.hidden),
            "ffn_up": (sizes.ffn, sizes.hidden),
            "ffn_down": (sizes.hidden, sizes.ffn),
        }.items():
            stored[f"{name}.{one}.weight"] = matrix(*shape)
            stored[f"{name}.{one}.bias"] = values.standard_normal(shape[0]).astype("f4")
    for name in names:
        stored[f"{name}.weight"] = values.uniform(0.5, 1.5, sizes.hidden).astype("f4")
        stored[f"{name}.bias"] = values.standard_normal(sizes.hidden).astype("f4")
    return SigLIPTower(sizes, stored)


def expected_of(tower, patches_PC):
    """Compute a tower in float64, as transformers' models/clip describes it."""
    sizes = tower.sizes
    weights = {name: value.astype(np.float64) for name, value in tower.stored.items()}

    def norm(name, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    patches_PD = patches_PC @ weights["vision.patches.weight"].T
    first_1D = np.zeros((1, sizes.hidden))  # its embedding is in the positions
    hidden_TD = norm(
        "vision.first_norm", np.concatenate([first_1D, patches_PD]) + weights["vision.positions"]
    )
    for layer in range(sizes.layers):
        name = f"vision.layers.{layer}"
        joined = linear(f"{name}.attention", norm(f"{name}.attention_norm", hidden_TD))
        query, key, value = (
            part.reshape(sizes.tokens, sizes.heads, -1).swapaxes(0, 1) for part in np.split(joined, 3, axis=1)
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[2])
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        hidden_TD = hidden_TD + linear(
            f"{name}.output", (shares @ value).swapaxes(0, 1).reshape(sizes.tokens, -1)
        )
        inner = ACTIVATIONS[sizes.activation](linear(f"{name}.ffn_up", norm(f"{name}.ffn_norm", hidden_TD)))
        hidden_TD = hidden_TD + linear(f"{name}.ffn_down", inner)
    return norm("vision.norm", hidden_TD[0]) @ weights["vision.projection.weight"].T


def patches_for(sizes, number):
    shape = (number, sizes.patches, sizes.patch_width)
    return list(np.random.default_rng(1).standard_normal(shape, np.float32))


def numbers_of(path):
    return LARGEST_ERROR if path in ("plain", "avx2") else {"bf16": 0.006, "int8": 0.02}


def encoder_of(tower, path, number, *, threads=1, most_images=1):
    return bind_encoder(tower, threads, path, lambda *_: number, most_images)


def encode(encoder, pictures):
    vectors_ND = np.full((len(pictures), DIMENSIONS), np.nan, np.float32)
    encoder.run_together(pictures, vectors_ND)
    return vectors_ND


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", SIZES)
def test_a_picture_has_the_vector_that_numpy_computes(name, path):
    tower = random_tower(sizes_of(name))
    pictures = patches_for(tower.sizes, 2)
    expected = [expected_of(tower, one) for one in pictures]
    for number, largest in numbers_of(path).items():
        found = encode(encoder_of(tower, path, number, most_images=2), pictures)
        for vector_D, expected_D in zip(found, expected, strict=True):
            error = np.linalg.norm(vector_D - expected_D) / np.linalg.norm(expected_D)
            assert error < largest, f"{number}: {error}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_is_the_one_that_the_sizes_name(activation, path):
    """Inner values where forms of GELU differ by more than rounding, added up with one sign."""
    name = "33 tokens, the last alone in its panel"
    towers = {one: random_tower(sizes_of(name, one)) for one in ACTIVATIONS}
    for tower in towers.values():
        tower.stored["vision.layers.0.ffn_up.weight"][:] = 0
        tower.stored["vision.layers.0.ffn_up.bias"][:] = np.linspace(-3.2, -2.4, tower.sizes.ffn)
        tower.stored["vision.layers.0.ffn_down.weight"][:] = np.where(np.arange(64) % 2, 1, -1)[:, None]
    picture = np.zeros((towers[activation].sizes.patches, towers[activation].sizes.patch_width), np.float32)
    (found_D,) = encode(encoder_of(towers[activation], path, "bf16"), [picture])
    errors = {one: np.linalg.norm(found_D - expected_of(tower, picture)) for one, tower in towers.items()}
    assert errors.pop(activation) < 0.4 * min(errors.values())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("number", LARGEST_ERROR)
@pytest.mark.parametrize("name", ["50 tokens, heads of 64, two segments", "17 tokens, heads of 24"])
def test_a_picture_has_the_same_bits_beside_others_and_on_any_threads(name, path, number):
    if number not in numbers_of(path):
        pytest.skip(f"{path} does not multiply in {number}")
    tower = random_tower(sizes_of(name))
    pictures = patches_for(tower.sizes, 5)
    alone = encoder_of(tower, path, number)
    expected = np.concatenate([encode(alone, [one]) for one in pictures])
    for threads in (1, 2, 3):
        together = encoder_of(tower, path, number, threads=threads, most_images=5)
        for order in ((0, 1, 2, 3, 4), (4, 2), (3,), (1, 1, 0)):
            found = encode(together, [pictures[index] for index in order])
            np.testing.assert_array_equal(found, expected[list(order)])
        np.testing.assert_array_equal(encode(together.twin(2), pictures), expected)


@pytest.mark.parametrize("path", PATHS)
def test_a_picture_with_infinite_values_does_not_change_the_others(path):
    tower = random_tower(sizes_of("50 tokens, heads of 64, two segments"))
    pictures = patches_for(tower.sizes, 3)
    encoder = encoder_of(tower, path, "int8", most_images=3)
    expected = encode(encoder, pictures)
    broken = [pictures[0], np.full_like(pictures[1], np.inf), pictures[2]]
    found = encode(encoder, broken)
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])
    np.testing.assert_array_equal(encode(encoder, pictures), expected)


def test_what_does_not_fit_is_refused():
    tower = random_tower(sizes_of("17 tokens, heads of 24"))
    encoder, pictures = encoder_of(tower, "plain", "bf16", most_images=2), patches_for(tower.sizes, 3)
    for some in ([], pictures):
        with pytest.raises(ValueError, match="at most as many"):
            encode(encoder, some)
    with pytest.raises(ValueError, match="sizes"):
        encode(encoder, [pictures[0][:-1]])
    with pytest.raises(ValueError, match="sizes"):
        encoder.run_together(pictures[:2], np.empty((1, DIMENSIONS), np.float32))
    of = find_extension().module.Encoder
    with pytest.raises(ValueError, match="activation"):
        of(1, 64, 1, 64, 16, 48, EPSILON, 1, "plain", activation="relu")
    with pytest.raises(ValueError, match="first token"):
        of(1, 64, 1, 64, 16, 48, EPSILON, 1, "plain").set_first_norm(*[np.ones(64, np.float32)] * 2)
    clip = of(1, 64, 1, 64, 16, 48, EPSILON, 1, "plain", has_first_token=True)
    with pytest.raises(ValueError, match="squares"):
        clip.set_connector(np.ones((40, 256), np.float32), 2)


def test_pictures_of_few_patches_share_a_run():
    together = {name: pictures_together(sizes_of(name)) for name in SIZES}
    assert together == {
        "50 tokens, heads of 64, two segments": 4,
        "17 tokens, heads of 24": 8,
        "197 tokens": 1,
        "33 tokens, the last alone in its panel": 4,
    }
