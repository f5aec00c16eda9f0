"""The torch engine on devices with separate memory, without such a device: torch's fake mode.

Tensors have shapes, types and devices there but no values, and an operation on tensors of two devices raises
an error. ``lazy`` is the one device besides the CPU that a build for the CPU accepts there. A call has done
everything else when it fails to turn its result into an array.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError, FakeTensorMode
from transformers import AutoConfig, AutoModelForImageTextToText, Florence2ForConditionalGeneration

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.florence2 import PictureEncoder
from smallsight.engine.torch.florence2_compiled import CompiledBeams
from smallsight.engine.torch.florence2_decoder import BeamDecoder, PlainBeams
from smallsight.engine.torch.florence2_layers import BeamLayers
from smallsight.engine.torch.moondream2_calls import TorchCropNetworks, torch_number_decoder
from smallsight.engine.torch.moondream2_layers import CheckpointLayers
from smallsight.engine.torch.moondream2_network import Moondream2Network
from smallsight.engine.torch.moondream2_placement import LAYERS, module_of, module_sizes_of
from smallsight.engine.torch.paged_attention import PAGED_ATTENTION, PagedCache
from smallsight.engine.torch.paged_runner import TorchRunner
from smallsight.engine.torch.placement import DeviceMap, split
from smallsight.engine.torch.smolvlm import TorchTileEncoder, decoder_of
from smallsight.families.messages import Tile
from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.shapes import tensor_shapes_of
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.quant.scheme import SCHEMES
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM
from tiny_smolvlm import make_checkpoint

# Importing torch's compiler warns of parts of torch.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

FIRST, SECOND = "lazy:0", "lazy:1"
DEVICE = Device(FIRST, torch.float32, "for a test")
SIZES = {"block_tokens": 32, "num_blocks": 8, "dtype": torch.float32}


def at_the_end():
    return pytest.raises(RuntimeError, match=r"\.numpy\(\) is not supported")


def faked():
    return FakeTensorMode(allow_non_fake_inputs=True)


def move(network):
    """Replace a network's tensors by fake ones on the first device."""
    for module in network.modules():
        for held in (module._parameters, module._buffers):  # noqa: SLF001 - ``to`` keeps what is not fake
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = tensor.detach().to(FIRST)


def run(runner, hidden, mode):
    """Compute a prompt beside the next token of two others, as a step of the scheduler."""
    lengths = ((0, 40, (0, 1)), (33, 1, (2, 3)), (5, 1, (4,)))
    steps = [
        StepInput(np.zeros((length, hidden), np.float32), begin, blocks, wants_logits=True)
        for begin, length, blocks in lengths
    ]
    with mode, at_the_end():
        runner.run(steps)


def test_fake_devices_do_not_mix():
    with faked(), pytest.raises(FakeTensorDeviceMismatchError):
        torch.zeros(2, device=FIRST) + torch.zeros(2, device=SECOND)


def test_a_smolvlm_moves_tiles_and_pieces(tmp_path):
    shape = SMOLVLM[0]
    config = AutoConfig.from_pretrained(make_checkpoint(tmp_path / "tiny", shape))
    mode = faked()
    with mode, torch.device(FIRST):
        network = AutoModelForImageTextToText.from_config(config).eval()
    decoder = network.model.text_model
    decoder.config._attn_implementation = PAGED_ATTENTION  # noqa: SLF001 - as the loader does
    with mode:
        cache = PagedCache(
            layers=shape.layers, kv_heads=shape.kv_heads, head_dim=shape.head_dim, device=FIRST, **SIZES
        )
        tiles = TorchTileEncoder(
            network.model,
            lambda tile: np.float32(tile.transpose(2, 0, 1)[None]),
            FeatureCache(1 << 20),
            DEVICE,
            torch.float32,
        )
        pixels = np.zeros((shape.tile_px, shape.tile_px, 3), np.uint8)
        with at_the_end():
            tiles.encode([Tile(pixels, b"digest")])
    given = {"device": DEVICE, "dtype": torch.float32, "vocabulary": 100}
    run(TorchRunner(decoder_of(decoder), network.lm_head, cache, **given), shape.hidden, mode)


def test_a_florence2_moves_pictures_prompts_and_beams(tmp_path):
    shape = FLORENCE2[1]
    config = AutoConfig.from_pretrained(write_tiny_florence2(tmp_path / "tiny", shape))
    network = Florence2ForConditionalGeneration(config).eval()  # reads numbers while it is made
    with faked():
        move(network)
        pictures = PictureEncoder(
            network, lambda tile: np.float32(tile.transpose(2, 0, 1)[None]), FeatureCache(1), DEVICE
        )
        with at_the_end():
            pictures.encode([Tile(np.zeros((shape.image_px, shape.image_px, 3), np.uint8), b"digest")])
        decoder = BeamDecoder(network, DEVICE, most_prompts=4)
        features = np.zeros((5, config.text_config.d_model), np.float32)
        prompt = [config.image_token_id] * 5 + [7] * 9
        assert decoder.encode(prompt, config.image_token_id, features).exists.device == torch.device(FIRST)
        memory = BeamLayers(network).blank_memory(3, 70, FIRST)
        compiled = CompiledBeams(
            BeamLayers(network),
            device=DEVICE,
            num_beams=2,
            most_prompts=3,
            positions=shape.positions,
            usual_tokens=64,
            cache_bytes=1 << 30,
        )
        for beams in (PlainBeams(BeamLayers(network), memory), compiled.begin(memory)):
            with torch.compiler.set_stance("force_eager"):
                first = beams.step([0] * 6, 0, range(6))
                beams.keep([0, 2])
                second = beams.step([0] * 4, 1, [0, 0, 4, 5])
            assert (first.device, second.device) == (torch.device(FIRST),) * 2
            assert (len(first), len(second)) == (6, 4)


def test_a_moondream2_on_two_devices_moves_what_its_layers_need(tmp_path):
    shape = MOONDREAM2[0]
    folder = write_tiny_moondream2(tmp_path / "tiny", shape)
    config, scheme = read_config(folder), SCHEMES["fp32"]
    weights = Moondream2Weights(find_weight_files(folder), config.sizes())
    sizes = module_sizes_of(tensor_shapes_of(config.sizes()), scheme, torch.float32)
    on_first = sizes["tower"] + sizes["text.layers.0"]
    placement = DeviceMap(split(sizes, {FIRST: on_first, SECOND: sum(sizes.values()) - on_first}))
    assert placement.devices == (FIRST, SECOND)
    device = replace(DEVICE, others=(SECOND,), is_shared=True)
    mode = faked()
    with mode:
        layers = CheckpointLayers(
            weights,
            scheme,
            torch.float32,
            device,
            device_of=lambda name: placement.device_of[module_of(name)],
        )
        network = Moondream2Network(config, layers).eval()
        of_layers = placement.of_layers(LAYERS, config.text.layers)
        assert set(of_layers) == {FIRST, SECOND}
        cache = PagedCache(
            layers=config.text.layers,
            kv_heads=config.text.heads,
            head_dim=config.text.head_dim,
            device=of_layers,
            **SIZES,
        )
        crops, patches = TorchCropNetworks(network.tower, DEVICE, torch.float32), shape.patches**2
        with at_the_end():
            crops.encode_crops(np.zeros((2, patches, 3 * shape.patch_px**2), np.float32))
        with at_the_end():
            crops.connect(*(np.zeros((patches, shape.vision_hidden), np.float32) for _ in range(2)))
        with at_the_end():
            torch_number_decoder(network.numbers, "size", DEVICE, torch.float32)(
                np.zeros((1, shape.hidden), np.float32)
            )
    decoder = network.decoder
    runner = TorchRunner(
        lambda embedded_1TD, step: decoder(embedded_1TD[0], step),
        decoder.logits,
        cache,
        device=device,
        dtype=torch.float32,
        vocabulary=config.text.vocabulary,
    )
    run(runner, shape.hidden, mode)
