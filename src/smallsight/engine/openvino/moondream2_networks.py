"""moondream2's compiled networks and the weights behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.region_head import RegionHead
from smallsight.engine.openvino.weight_store import open_stored, tuning, weights_key
from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.region import KINDS, NumberKind, encoder_of
from smallsight.families.moondream2.region_graph import build_region_graph
from smallsight.families.moondream2.stored import STORED_VERSION, scheme_of, store_text, store_vision
from smallsight.families.moondream2.text_graph import build_text_graph
from smallsight.families.moondream2.vision_graphs import build_connector_graph, build_tower_graph
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.families.tensor_files import RowTable
from smallsight.graph.compiled import CompiledNetwork, compile_network
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import stored_bytes
from smallsight.quant.scheme import Stored


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """The weights as they are stored, which must outlive every network over them, and the embedding table."""

    stored: Mapping[str, Stored]
    embeddings: RowTable
    weights_bytes: int
    key: str


@dataclass(frozen=True, eq=False)
class Moondream2Networks:
    """Everything that is compiled for one model."""

    tower: CompiledNetwork
    connector: CompiledNetwork
    text: CompiledNetwork
    region: RegionHead


def open_weights(
    weight_files: tuple[Path, ...],
    config: Moondream2Config,
    precision: str,
    *,
    prepared_dir: Path | None,
    on_progress: OnProgress | None = None,
) -> StoredWeights:
    """Open what was stored before, or make it from the checkpoint.

    Raises BrokenCheckpointError for weights that are not those of ``config``.
    """
    scheme, sizes = scheme_of(precision), config.sizes()
    weights = Moondream2Weights(weight_files, sizes)
    key = weights_key(weight_files, repr(config), scheme, STORED_VERSION, prepared_dir)

    def make() -> Iterable[tuple[str, Stored]]:
        fresh = Moondream2Weights(weight_files, sizes)
        yield from store_vision(fresh, config, scheme)
        yield from store_text(fresh, config, scheme)

    path = None if prepared_dir is None else prepared_dir / f"{key}.weights"
    stored = open_stored(make, path, weight_files, on_progress)
    weights_bytes = sum(stored_bytes(one) for one in stored.values())
    return StoredWeights(stored, weights.map_embeddings(), weights_bytes, key)


def compile_networks(
    stored: Mapping[str, Stored], config: Moondream2Config, precision: str, *, threads: int
) -> Moondream2Networks:
    """Lay the networks out over the stored weights, one after the other: side by side they need more
    memory.
    """
    scheme = scheme_of(precision)

    def compiled(build: Callable[[], ov.Model]) -> CompiledNetwork:
        return compile_network(build, threads=threads, tuning=tuning(scheme))

    def region(kind: NumberKind) -> CompiledNetwork:
        with releasing_pages(stored):
            network = compiled(lambda: build_region_graph(config, stored, kind))
            network.model.create_infer_request().infer([np.zeros((1, config.text.hidden), np.float32)])
        return network

    return Moondream2Networks(
        tower=compiled(lambda: build_tower_graph(config, stored)),
        connector=compiled(lambda: build_connector_graph(config, stored)),
        text=compiled(lambda: build_text_graph(config, stored)),
        region=RegionHead(region, {kind: encoder_of(stored, kind) for kind in KINDS}),
    )
