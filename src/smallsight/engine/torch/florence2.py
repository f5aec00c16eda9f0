"""Loads a Florence-2 for the torch engine: transformers' own network, our processor and beam search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import Florence2ForConditionalGeneration

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.search_worker import SearchWorker
from smallsight.engine.engine import LoadRequest
from smallsight.engine.florence2_engine import Florence2Engine
from smallsight.engine.network_key import network_key
from smallsight.engine.torch.device import Device, choose_device, release_caches, require_one_device
from smallsight.engine.torch.device_options import options_for
from smallsight.engine.torch.florence2_compiled import CompiledBeams
from smallsight.engine.torch.florence2_decoder import LENGTH_STEP, BeamDecoder
from smallsight.engine.torch.florence2_layers import BeamLayers
from smallsight.engine.torch.florence2_network import HEAD, native_config, tensors_of
from smallsight.engine.torch.measured_recipes import report_choice
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.recipes import Recipe, load_pretrained, recipe_of
from smallsight.engine.torch.stored_parts import count_modules
from smallsight.families.family import Family
from smallsight.families.florence2.generation_defaults import read_generation_defaults
from smallsight.families.florence2.processor import Florence2Processor
from smallsight.families.messages import Tile
from smallsight.machine.memory import call_when_giving_back

# The tower and its connector keep 16 bits, as in every engine; all logits come from the head. transformers
# compares these with the beginnings of names.
SKIPPED = ("model.vision_tower", "model.multi_modal_projector", "lm_head")
_MOST_ON_CPU, _MOST_ON_GPU = 8, 64  # prompts that are answered together
_PARTS = {"vision_tower": "vision", "multi_modal_projector": "connector"}


def load_torch_florence2(family: Family, request: LoadRequest) -> Florence2Engine:
    """Load a model folder in Hugging Face layout, with either set of tensor names; raises SmallsightError."""
    device = choose_device(request.device)
    require_one_device(device, family.title)
    recipe = recipe_of(request.scheme, device)
    report_choice(family.name, request.scheme, device, recipe)
    if device.is_cpu and request.threads:
        torch.set_num_threads(request.threads)
    processor = Florence2Processor(request.model_dir)
    files = find_weight_files(request.model_dir)
    network = _load_network(processor, files, request, recipe, device)
    request.report_loading(1.0)
    call_when_giving_back(device.name, lambda: release_caches(device))
    features = FeatureCache(request.options.feature_cache_bytes)
    defaults = read_generation_defaults(request.model_dir)
    most_prompts = _MOST_ON_CPU if device.is_cpu else _MOST_ON_GPU
    compiled = None
    if request.compile:
        compiled = _compiled(network, processor, request, device, defaults.num_beams, most_prompts)
    worker = SearchWorker(
        PictureEncoder(network, processor.normalise, features, device),
        BeamDecoder(network, device, most_prompts, compiled),
        processor.config.image_token_id,
    )
    parts = count_modules(network, _part_of)
    facts = (
        f"{processor.config!r} {processor.image_px}",
        f"torch {device.kind} {recipe.linears} {recipe.dtype}",
    )
    return Florence2Engine(
        family=family,
        processor=processor,
        defaults=defaults,
        worker=worker,
        features=features,
        key=network_key(files, request.prepared_dir, *facts),
        weights_bytes=sum(part.num_bytes for part in parts),
        is_batch_independent=False,  # products over more rows use other kernels
        held=network,
        parts=parts,
    )


def _load_network(
    processor: Florence2Processor, files: Sequence[Path], request: LoadRequest, recipe: Recipe, device: Device
) -> nn.Module:
    sizes = processor.config.sizes(processor.image_px)
    tensors = tensors_of(files, sizes, request.report_loading)
    return load_pretrained(
        Florence2ForConditionalGeneration,
        native_config(processor.config, is_tied=HEAD not in tensors),
        tensors,
        request.model_dir,
        recipe,
        device,
        skipped=SKIPPED,
    )


def _compiled(
    network: Any,  # noqa: ANN401 - transformers' modules have no useful types
    processor: Florence2Processor,
    request: LoadRequest,
    device: Device,
    num_beams: int,
    most_prompts: int,
) -> CompiledBeams:
    """Return compiled steps of the checkpoint's number of beams."""
    image_tokens = processor.config.tokens_per_image(processor.image_px)
    with reporting_memory(device, "compiling"):
        compiled = CompiledBeams(
            BeamLayers(network),
            device=device,
            num_beams=num_beams,
            most_prompts=most_prompts,
            positions=processor.config.text_positions,
            usual_tokens=(image_tokens // LENGTH_STEP + 1) * LENGTH_STEP,
            cache_bytes=options_for(device, request.options).cache_bytes,
        )
        compiled.warm_up(request.report_compiling)
    return compiled


class PictureEncoder:
    """Implements ``decoding.runner.TileEncoder`` with a network's tower and projector.

    Used by one thread at a time.
    """

    tiles_at_once = 1

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - transformers' modules have no useful types
        normalise: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        device: Device,
    ) -> None:
        self._network = network
        self._normalise = normalise
        self._cache = cache
        self._device = device

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]; raises OutOfResourcesError."""
        return [self._encode(tile) for tile in tiles]

    @torch.inference_mode()
    def _encode(self, tile: Tile) -> NDArray[np.float32]:
        with reporting_memory(self._device, "encoding a picture"):
            pixels = torch.from_numpy(self._normalise(tile.pixels_HWC)).to(self._device.name)
            encoded = self._network.get_image_features(pixels).pooler_output
            features_TD: NDArray[np.float32] = encoded[0].float().cpu().numpy()
        self._cache.remember(tile.digest, features_TD)
        return features_TD


def _part_of(name: str) -> str:
    """Return the part of the model that a parameter of transformers' network belongs to."""
    if name.startswith("lm_head"):
        return "head"
    if name.endswith((".shared.weight", ".embed_tokens.weight")):
        return "embeddings"
    return _PARTS.get(name.removeprefix("model.").partition(".")[0], "text")
