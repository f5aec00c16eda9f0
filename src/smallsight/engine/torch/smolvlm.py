"""Loads a SmolVLM for the torch engine: transformers' own network, our processor, scheduler and KV cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig, AutoModelForImageTextToText

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.inline_engine import BLOCK_TOKENS, InlineEngine, inline_worker
from smallsight.engine.network_key import network_key
from smallsight.engine.torch.checkpoint_tensors import CheckpointTensors, TensorInFile
from smallsight.engine.torch.device import DISK, Device, choose_device, release_caches, require_no_disk
from smallsight.engine.torch.device_options import options_for
from smallsight.engine.torch.measured_recipes import report_choice
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.paged_attention import PAGED_ATTENTION, PagedCache, PagedStep
from smallsight.engine.torch.paged_runner import TorchRunner
from smallsight.engine.torch.placement import DeviceMap, module_sizes, place, require_plain_decoding
from smallsight.engine.torch.recipes import Recipe, load_pretrained, recipe_of
from smallsight.engine.torch.stored_parts import count_modules
from smallsight.families.family import Family
from smallsight.families.messages import Tile
from smallsight.families.smolvlm.config import SmolVLMTextConfig
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.machine.memory import call_when_giving_back

TEXT = "model.text_model"
LAYERS = f"{TEXT}.layers"
MODULES = (  # in the order in which they are used; the head may share its matrix with the embeddings
    "model.vision_model",
    "model.connector",
    f"{LAYERS}.*",
    f"{TEXT}.norm",
    f"{TEXT}.rotary_emb",
    f"{TEXT}.embed_tokens",
    "lm_head",
)
_TILES_OF_A_PICTURE = 17  # four rows of four and the whole: few calls keep a GPU busy
SKIPPED = ("lm_head",)  # all logits come from the head, so it stays in 16 bits


def load_torch_smolvlm(family: Family, request: LoadRequest) -> InlineEngine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    device = choose_device(request.device)
    recipe = recipe_of(request.scheme, device)
    if recipe.is_quantised:
        require_no_disk(device, f"{family.title} in {request.scheme.name}")
    report_choice(family.name, request.scheme, device, recipe)
    if device.is_cpu and request.threads:
        torch.set_num_threads(request.threads)
    options = options_for(device, request.options)
    opened = SmolVLMModel(request.model_dir, request.scheme, options.tiled_bytes)  # checks the weights' names
    placement = _place(request, recipe, device, options)
    config = AutoConfig.from_pretrained(request.model_dir, local_files_only=True)
    network: Any = load_pretrained(
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)],
        config,
        _tensors_of(opened, request, placement),
        request.model_dir,
        recipe,
        device,
        skipped=SKIPPED,
        device_of=None if placement is None else placement.device_of,
    )
    request.report_loading(1.0)
    call_when_giving_back(device.name, lambda: release_caches(device))
    cache = kv_cache(opened.config.text, options, recipe, device, opened.context_tokens, placement)
    runner = _runner(network, opened, cache, request, options, recipe, device)
    features = FeatureCache(options.feature_cache_bytes)
    vision = TorchTileEncoder(network.model, opened.processor.normalise, features, device, recipe.dtype)
    parts = count_modules(network, _part_of)
    facts = "torch", opened.identity, f"{request.scheme.identity} {device.kind} {recipe.dtype}"
    return InlineEngine(
        family=family,
        processor=opened.processor,
        worker=inline_worker(opened, vision, runner, options),
        features=features,
        context_tokens=opened.context_tokens,
        key=network_key(opened.weight_files, request.prepared_dir, *facts),
        weights_bytes=sum(part.num_bytes for part in parts),
        is_batch_independent=False,  # products over more rows use other kernels
        held=network,
        parts=parts,
        devices=() if placement is None else placement.devices,
    )


def _tensors_of(
    opened: SmolVLMModel, request: LoadRequest, placement: DeviceMap | None
) -> Mapping[str, TensorInFile] | None:
    """Return the checkpoint's tensors, or None if some stay in their files, which transformers maps."""
    if placement is not None and DISK in placement.devices:
        return None
    return CheckpointTensors(opened.weight_files, request.report_loading).tensors


def _runner(
    network: Any,  # noqa: ANN401 - transformers' modules have no useful types
    opened: SmolVLMModel,
    cache: PagedCache,
    request: LoadRequest,
    options: EngineOptions,
    recipe: Recipe,
    device: Device,
) -> TorchRunner:
    """Return a runner of the decoder, compiled if the request says so."""
    decoder, text = network.model.text_model, opened.config.text
    decoder.config._attn_implementation = PAGED_ATTENTION  # noqa: SLF001 - transformers has no other way
    runner = TorchRunner(
        decoder_of(decoder),
        network.lm_head,
        cache,
        device=device,
        dtype=recipe.dtype,
        vocabulary=text.vocabulary,
    )
    if request.compile:
        runner.compile(
            hidden=text.hidden,
            most_rows=options.max_sequences,
            context_tokens=opened.context_tokens,
            on_progress=request.report_compiling,
        )
    return runner


def _place(request: LoadRequest, recipe: Recipe, device: Device, options: EngineOptions) -> DeviceMap | None:
    """Return where the network's modules go, or None if one device holds all."""
    if not device.others:
        return None
    sizes = module_sizes(AutoModelForImageTextToText, request.model_dir, recipe, MODULES, SKIPPED)
    placement = place(sizes, device, options.cache_bytes)
    if placement is not None:
        require_plain_decoding(request)
    return placement


def kv_cache(
    text: SmolVLMTextConfig,
    options: EngineOptions,
    recipe: Recipe,
    device: Device,
    context_tokens: int,
    placement: DeviceMap | None = None,
) -> PagedCache:
    """Allocate a KV cache of the size in the options, but enough for one whole context.

    Each layer's part is where the placement has that layer.
    """
    token_bytes = 2 * text.layers * text.kv_heads * text.head_dim * recipe.dtype.itemsize
    num_blocks = max(options.cache_bytes // (token_bytes * BLOCK_TOKENS), -(-context_tokens // BLOCK_TOKENS))
    needed_bytes = (num_blocks + 1) * BLOCK_TOKENS * token_bytes
    with reporting_memory(device, "allocating the KV cache", needed_bytes):
        return PagedCache(
            layers=text.layers,
            num_blocks=num_blocks,
            block_tokens=BLOCK_TOKENS,
            kv_heads=text.kv_heads,
            head_dim=text.head_dim,
            dtype=recipe.dtype,
            device=device.name if placement is None else placement.of_layers(LAYERS, text.layers),
        )


class TorchTileEncoder:
    """Implements ``decoding.runner.TileEncoder`` with transformers. Used by one thread at a time."""

    def __init__(
        self,
        network: nn.Module,
        normalise: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        device: Device,
        dtype: torch.dtype,
    ) -> None:
        """``network`` has ``vision_model`` and ``connector``."""
        self.tiles_at_once = 1 if device.is_cpu else _TILES_OF_A_PICTURE
        self._network: Any = network
        self._cache = cache
        self._device = device
        # The processor's value of each level of each channel: bytes travel to the device, not numbers.
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
        self._levels_CV = torch.tensor(normalise(ramp)[0, :, :, 0]).to(device.name, dtype)
        self._channels_C11 = torch.arange(3, device=device.name)[:, None, None]

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]; raises OutOfResourcesError."""
        with reporting_memory(self._device, "encoding a picture"):
            joined = torch.from_numpy(np.stack([tile.pixels_HWC for tile in tiles]))
            levels_NCHW = joined.to(self._device.name).permute(0, 3, 1, 2).long()
            pixels_NCHW = self._levels_CV[self._channels_C11, levels_NCHW]
            hidden = self._network.vision_model(pixel_values=pixels_NCHW).last_hidden_state
            features: list[NDArray[np.float32]] = list(self._network.connector(hidden).float().cpu().numpy())
        for tile, features_TD in zip(tiles, features, strict=True):
            self._cache.remember(tile.digest, features_TD.copy())  # the others would be kept with it
        return features


def decoder_of(text_model: Any) -> Callable[[Tensor, PagedStep], Tensor]:  # noqa: ANN401 - transformers' module
    """Return a function that computes pieces with transformers' text model, for a ``TorchRunner``."""

    def decode(embeddings_1TD: Tensor, step: PagedStep) -> Tensor:
        output = text_model(
            inputs_embeds=embeddings_1TD, position_ids=step.positions_T[None], use_cache=False, paged=step
        )
        hidden_TD: Tensor = output.last_hidden_state[0]
        return hidden_TD

    return decode


def _part_of(name: str) -> str:
    """Return the part of the model that a parameter of transformers' network belongs to."""
    if name.startswith("lm_head"):
        return "head"
    module = name.removeprefix("model.").partition(".")[0]
    if ".embed_tokens." in name:
        return "embeddings"
    return {"vision_model": "vision", "connector": "connector"}.get(module, "text")
