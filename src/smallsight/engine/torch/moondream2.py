"""Loads a moondream2 for the torch engine: our own modules, so that bitsandbytes can quantise its layers."""

from __future__ import annotations

from dataclasses import replace

import torch

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.crop_runner import CropRunner
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.inline_engine import BLOCK_TOKENS
from smallsight.engine.moondream2_engine import Moondream2Engine, moondream2_features, moondream2_worker
from smallsight.engine.network_key import network_key
from smallsight.engine.region_head import RegionHead
from smallsight.engine.torch.device import Device, choose_device, release_caches, require_no_disk
from smallsight.engine.torch.device_options import options_for
from smallsight.engine.torch.measured_recipes import report_choice
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.moondream2_calls import TorchCropNetworks, torch_number_decoder
from smallsight.engine.torch.moondream2_layers import CheckpointLayers
from smallsight.engine.torch.moondream2_network import Moondream2Network, ParallelDecoder, part_of
from smallsight.engine.torch.moondream2_placement import LAYERS, TOWER, module_of, module_sizes_of
from smallsight.engine.torch.paged_attention import PagedCache
from smallsight.engine.torch.paged_runner import TorchRunner
from smallsight.engine.torch.placement import DeviceMap, place, require_plain_decoding
from smallsight.engine.torch.recipes import Recipe, recipe_of
from smallsight.engine.torch.stored_parts import count_modules
from smallsight.families.family import Family
from smallsight.families.moondream2.config import Moondream2Config, Moondream2TextConfig
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.moondream2.region import KINDS, encoder_of
from smallsight.families.moondream2.shapes import tensor_shapes_of
from smallsight.families.moondream2.stored import adapted
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.families.stored_parts import PartWeights, count_parts
from smallsight.machine.memory import call_when_giving_back
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import Module, Scheme

_ENCODERS = tuple(
    f"region.{kind}_{part}" for kind in KINDS for part in ("frequencies", "encoder.weight", "encoder.bias")
)


def load_torch_moondream2(family: Family, request: LoadRequest) -> Moondream2Engine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    device = choose_device(request.device)
    require_no_disk(device, family.title)
    recipe = recipe_of(request.scheme, device)
    report_choice(family.name, request.scheme, device, recipe)
    if device.is_cpu and request.threads:
        torch.set_num_threads(request.threads)
    options = options_for(device, request.options)
    processor = Moondream2Processor(request.model_dir)
    files = find_weight_files(request.model_dir)
    weights = Moondream2Weights(files, processor.config.sizes())
    request = replace(request, scheme=quantised_modules(request.scheme))
    placement = _place(processor.config, request, recipe, device, options)
    network = _load_network(processor.config, weights, request, recipe, device, placement)
    encoders = {name: weights.take(name) for name in _ENCODERS}
    embeddings = weights.map_embeddings()
    features = moondream2_features(options)
    first = device if placement is None else replace(device, name=placement.device_of[TOWER])
    vision = CropRunner(
        TorchCropNetworks(network.tower, first, recipe.dtype),
        processor.to_patches,
        features,
        margin_patches=processor.config.vision.margin_patches,
        crops_at_once=1 if device.is_cpu else 1 + processor.config.vision.max_crops,
    )
    runner = _runner(network.decoder, processor.config.text, options, recipe, device, placement)
    if request.compile:
        _compile(runner, processor.config.text, options, request)
    parts = _joined(count_modules(network, part_of), count_parts(encoders, embeddings))
    facts = "torch", repr(processor.config), f"{request.scheme.identity} {device.kind} {recipe.dtype}"
    return Moondream2Engine(
        family=family,
        processor=processor,
        region=RegionHead(
            lambda kind: torch_number_decoder(network.numbers, kind, first, recipe.dtype),
            {kind: encoder_of(encoders, kind) for kind in KINDS},
        ),
        worker=moondream2_worker(processor, vision, runner, options, embeddings),
        features=features,
        num_blocks=runner.num_blocks,
        key=network_key(files, request.prepared_dir, *facts),
        weights_bytes=sum(part.num_bytes for part in parts if part.part != "embeddings"),
        parts=parts,
        is_batch_independent=False,  # products over more rows use other kernels
        held=network,
        devices=() if placement is None else placement.devices,
    )


def quantised_modules(scheme: Scheme) -> Scheme:
    """Return the scheme as this family stores it: at least 8 bits for the tower, 16 for the output head."""
    family_scheme = adapted(scheme)
    is_integer = scheme.modules[Module.HEAD].is_integer
    return family_scheme.adapted({Module.HEAD: Storage.BF16} if is_integer else {})


def _place(
    config: Moondream2Config, request: LoadRequest, recipe: Recipe, device: Device, options: EngineOptions
) -> DeviceMap | None:
    """Return where the network's modules go, or None if one device holds all."""
    sizes = module_sizes_of(tensor_shapes_of(config.sizes()), request.scheme, recipe.dtype)
    placement = place(sizes, device, options.cache_bytes)
    if placement is not None:
        require_plain_decoding(request)
    return placement


def _load_network(
    config: Moondream2Config,
    weights: Moondream2Weights,
    request: LoadRequest,
    recipe: Recipe,
    device: Device,
    placement: DeviceMap | None,
) -> Moondream2Network:
    device_of = None if placement is None else lambda name: placement.device_of[module_of(name)]
    num_tensors = len(weights.untaken)

    def report(_: str) -> None:
        request.report_loading(1 - len(weights.untaken) / num_tensors)

    with reporting_memory(device, f"loading {request.model_dir.name}"):
        layers = CheckpointLayers(weights, request.scheme, recipe.dtype, device, report, device_of)
        network = Moondream2Network(config, layers).eval()
    call_when_giving_back(device.name, lambda: release_caches(device))
    return network


def _runner(
    decoder: ParallelDecoder,
    text: Moondream2TextConfig,
    options: EngineOptions,
    recipe: Recipe,
    device: Device,
    placement: DeviceMap | None,
) -> TorchRunner:
    """Return a runner with a KV cache of the size in the options, but enough for one whole context."""
    block_bytes = 2 * text.layers * text.hidden * recipe.dtype.itemsize * BLOCK_TOKENS
    num_blocks = max(options.cache_bytes // block_bytes, -(-text.context_tokens // BLOCK_TOKENS))
    with reporting_memory(device, "allocating the KV cache", (num_blocks + 1) * block_bytes):
        cache = PagedCache(
            layers=text.layers,
            num_blocks=num_blocks,
            block_tokens=BLOCK_TOKENS,
            kv_heads=text.heads,
            head_dim=text.head_dim,
            dtype=recipe.dtype,
            device=device.name if placement is None else placement.of_layers(LAYERS, text.layers),
        )
    return TorchRunner(
        lambda embedded_1TD, step: decoder(embedded_1TD[0], step),
        decoder.logits,
        cache,
        device=device,
        dtype=recipe.dtype,
        vocabulary=text.vocabulary,
        returns_hidden=True,
    )


def _compile(
    runner: TorchRunner, text: Moondream2TextConfig, options: EngineOptions, request: LoadRequest
) -> None:
    runner.compile(
        hidden=text.hidden,
        most_rows=options.max_sequences,
        context_tokens=text.context_tokens,
        on_progress=request.report_compiling,
    )


def _joined(*counts: tuple[PartWeights, ...]) -> tuple[PartWeights, ...]:
    """Add up the counts of the same part and form."""
    sums: dict[tuple[str, str], PartWeights] = {}
    for one in (part for parts in counts for part in parts):
        key = one.part, one.form
        known = sums.get(key, PartWeights(*key, 0, 0))
        sums[key] = PartWeights(
            *key, known.num_parameters + one.num_parameters, known.num_bytes + one.num_bytes
        )
    return tuple(sums[key] for key in sorted(sums))
