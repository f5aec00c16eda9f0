"""SmolVLM's two compiled networks and the weights behind them.

The runtime cannot keep a compiled network with paged attention, and laying one out again over stored weights
takes well under a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from smallsight.engine.openvino.weight_store import open_stored, tuning, weights_key
from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.families.smolvlm.stored import STORED_VERSION, store_text, store_vision
from smallsight.families.smolvlm.text_graph import build_text_graph
from smallsight.families.smolvlm.vision_graph import build_vision_graph
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.families.tensor_files import RowTable
from smallsight.graph.compiled import CompiledNetwork, compile_network
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import stored_bytes
from smallsight.quant.scheme import Scheme, Stored


@dataclass(frozen=True, eq=False)
class Networks:
    """Everything that is compiled or mapped for one model; ``stored`` must live as long as the rest."""

    vision: CompiledNetwork
    text: CompiledNetwork
    embeddings: RowTable
    stored: Mapping[str, Stored]
    weights_bytes: int
    key: str


def load_networks(
    weight_files: tuple[Path, ...],
    config: SmolVLMConfig,
    scheme: Scheme,
    *,
    prepared_dir: Path | None,
    threads: int,
    on_progress: OnProgress | None = None,
) -> Networks:
    """Load the stored weights, or make them from the checkpoint, and compile both networks over them.

    Raises BrokenCheckpointError for weights that are not those of ``config``.
    """
    weights = SmolVLMWeights(weight_files, config)
    key = weights_key(weight_files, repr(config), scheme, STORED_VERSION, prepared_dir)

    def make() -> Iterable[tuple[str, Stored]]:
        fresh = SmolVLMWeights(weight_files, config)
        yield from store_vision(fresh, config, scheme)
        yield from store_text(fresh, config, scheme)

    path = None if prepared_dir is None else prepared_dir / f"{key}.weights"
    stored = open_stored(make, path, weight_files, on_progress)
    with ThreadPoolExecutor(2) as both:
        vision = both.submit(
            compile_network,
            lambda: build_vision_graph(config, stored),
            threads=threads,
            tuning=tuning(scheme),
        )
        text = both.submit(
            compile_network,
            lambda: build_text_graph(config, stored),
            threads=threads,
            tuning=tuning(scheme),
        )
        networks = vision.result(), text.result()
    weights_bytes = sum(stored_bytes(one) for one in stored.values())
    return Networks(*networks, weights.map_embeddings(), stored, weights_bytes, key)
