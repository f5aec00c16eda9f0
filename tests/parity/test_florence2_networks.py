"""Florence-2's three networks against transformers', on tiny random checkpoints in both layouts of names."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from safetensors.numpy import load_file, save_file

from smallsight.errors import BrokenCheckpointError
from smallsight.families.florence2.config import read_config
from smallsight.families.florence2.stored import store_text, store_vision
from smallsight.families.florence2.text_graphs import build_decoder_graph, build_encoder_graph
from smallsight.families.florence2.vision_graph import build_vision_graph
from smallsight.families.florence2.weights import Florence2Weights
from smallsight.quant.scheme import SCHEMES
from tiny_florence2 import write_under_original_names

IMAGE_PX, IMAGE_TOKEN, START = 96, 300, 2
SHAPES = {
    "whole windows": {"depths": (1, 1, 2, 1), "window_size": 3},
    "padded windows": {"depths": (1, 2, 1, 1), "window_size": 5},
}
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "INFERENCE_NUM_THREADS": 2}


@pytest.fixture(scope="module", params=SHAPES)
def reference(request, tmp_path_factory):
    import torch
    from transformers import Florence2Config, Florence2ForConditionalGeneration

    torch.manual_seed(0)
    vision = {
        "embed_dim": (16, 32, 48, 64),
        "num_heads": (2, 4, 3, 4),
        "num_groups": (2, 4, 3, 8),
        "projection_dim": 64,
        "max_position_embeddings": 10,
        "max_temporal_embeddings": 8,
        **SHAPES[request.param],
    }
    text = {"model_type": "bart", "vocab_size": 320, "d_model": 64, "max_position_embeddings": 128}
    for side, layers in (("encoder", 2), ("decoder", 3)):
        text |= {f"{side}_layers": layers, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 96}
    text |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": START}
    config = Florence2Config(vision_config=vision, text_config=text, image_token_id=IMAGE_TOKEN)
    model = Florence2ForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.15 if parameter.ndim > 1 else 0.4)
    folder = tmp_path_factory.mktemp("florence2")
    model.save_pretrained(folder)
    return model, folder


def compiled(folder):
    config = read_config(folder)
    weights = Florence2Weights([folder / "model.safetensors"], config.sizes(IMAGE_PX))
    stored = dict(store_vision(weights, config, SCHEMES["fp32"]))
    stored |= dict(store_text(weights, config, SCHEMES["fp32"]))
    core = ov.Core()
    graphs = (
        build_vision_graph(config, stored, IMAGE_PX),
        build_encoder_graph(config, stored, "f32"),
        build_decoder_graph(config, stored, "f32"),
    )
    return [core.compile_model(graph, "CPU", EXACT) for graph in graphs]


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("is_original", [False, True], ids=["native", "original"])
def test_features_memory_and_steps_are_the_references(reference, is_original, tmp_path):
    import torch

    model, folder = reference
    vision, encoder, decoder = compiled(
        write_under_original_names(folder, tmp_path / "original", IMAGE_PX) if is_original else folder
    )
    pixels = torch.randn(2, 3, IMAGE_PX, IMAGE_PX, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = model.model.get_image_features(pixels).pooler_output.numpy()
    np.testing.assert_allclose(vision(pixels.numpy())[0], features, rtol=1e-4, atol=2e-5)

    table = model.model.language_model.shared.weight.detach().numpy()
    prompts = [[0, 5, 6, 7, 2], [0, 44, 9, 2, 2]]
    ids = np.array([[IMAGE_TOKEN] * features.shape[1] + prompt for prompt in prompts])
    embedded = table[ids].copy()
    embedded[:, : features.shape[1]] = features
    memory = encoder([embedded, np.arange(ids.shape[1])])
    request = decoder.create_infer_request()
    inputs = {"memory_scores": np.zeros((2, 1, 1, ids.shape[1]), np.float32)}
    for layer in range(3):
        inputs |= {f"key.{layer}": memory[2 * layer], f"value.{layer}": memory[2 * layer + 1]}
    rng = np.random.default_rng(0)
    paths = [[START], [START], [START], [START]]  # two beams of each prompt
    parents = np.arange(4, dtype=np.int32)
    for step in range(10):
        last = np.array([path[-1] for path in paths])
        logits = request.infer(
            {**inputs, "embeddings": table[last][:, None], "position": np.array([step]), "parents": parents}
        )[0]
        with torch.no_grad():
            expected = model(
                input_ids=torch.tensor(ids[[0, 0, 1, 1]]),
                pixel_values=pixels[[0, 0, 1, 1]],
                decoder_input_ids=torch.tensor(paths),
            ).logits[:, -1]
        np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=5e-5)
        parents = np.array([*rng.integers(0, 2, 2), *rng.integers(2, 4, 2)], np.int32)
        paths = [[*paths[parent], int(rng.integers(3, 320))] for parent in parents]


def test_every_tensor_is_used_and_a_missing_or_strange_one_is_named(reference, tmp_path):
    _, folder = reference
    config = read_config(folder)
    held = load_file(folder / "model.safetensors")
    sizes = config.sizes(IMAGE_PX)
    for change, words in (
        (lambda t: t.pop("model.vision_tower.convs.1.conv.bias"), "lack 1 tensors.*convs.1.conv.bias"),
        (lambda t: t.update(strange=np.zeros(1, np.float32)), "unexpectedly.*strange"),
    ):
        tensors = dict(held)
        change(tensors)
        path = tmp_path / "model.safetensors"
        save_file(tensors, path)
        with pytest.raises(BrokenCheckpointError, match=words):
            Florence2Weights([path], sizes)
