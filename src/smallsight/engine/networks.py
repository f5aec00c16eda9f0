"""A model's two compiled networks and the weights behind them, kept on disk in the form they are used in.

Quantising a checkpoint happens once: the result is a bundle in ``graphs_dir``, memory-mapped by this and
every later start. The runtime cannot keep a compiled network with paged attention, and laying one out again
over stored weights takes well under a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from smallsight.catalog.file_hashes import file_sha256
from smallsight.families.checkpoint import RowTable
from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.families.smolvlm.stored import STORED_VERSION, store_text, store_vision
from smallsight.families.smolvlm.text_graph import build_text_graph
from smallsight.families.smolvlm.vision_graph import build_vision_graph
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.graph.compiled import CompiledNetwork, load_or_compile
from smallsight.quant.bundle import Bundle, BundleWriter, stored_bytes
from smallsight.quant.scheme import Scheme, Stored

log = structlog.get_logger(__name__)

ACTIVATION_GROUP = 64  # values of an activation that share a scale where products are of integers


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
    graphs_dir: Path | None,
    threads: int,
) -> Networks:
    """Load the stored weights, or make them from the checkpoint, and compile both networks over them.

    Raises BrokenCheckpointError for weights that are not those of ``config``.
    """
    weights = SmolVLMWeights(weight_files, config)
    hashes = [file_sha256(path, graphs_dir) for path in weight_files]
    identity = "\n".join([*hashes, repr(config), scheme.identity, str(STORED_VERSION)])
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]

    def make() -> Iterable[tuple[str, Stored]]:
        fresh = SmolVLMWeights(weight_files, config)
        yield from store_vision(fresh, config, scheme)
        yield from store_text(fresh, config, scheme)

    stored = _remembered(make, None if graphs_dir is None else graphs_dir / f"{key}.weights")
    with ThreadPoolExecutor(2) as both:
        vision = both.submit(
            load_or_compile,
            lambda: build_vision_graph(config, stored),
            {},
            graphs_dir=None,
            threads=threads,
            tuning=_tuning(scheme),
        )
        text = both.submit(
            load_or_compile,
            lambda: build_text_graph(config, stored),
            {},
            graphs_dir=None,
            threads=threads,
            tuning=_tuning(scheme),
        )
        networks = vision.result(), text.result()
    weights_bytes = sum(stored_bytes(one) for one in stored.values())
    return Networks(*networks, weights.map_embeddings(), stored, weights_bytes, key)


def _remembered(make: Callable[[], Iterable[tuple[str, Stored]]], path: Path | None) -> Mapping[str, Stored]:
    """Open the bundle at ``path``, writing it first when there is none; without one, hold all in memory."""
    if path is None:
        return dict(make())
    try:
        return Bundle(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("stored_weights_unusable", path=str(path), reason=str(error), action="making them again")
    try:
        with BundleWriter(path) as writer:
            for name, stored in make():
                writer.add(name, stored)
        return Bundle(path)
    except OSError as error:
        log.warning("weights_not_stored", path=str(path), reason=str(error), action="holding them in memory")
        return dict(make())


def _tuning(scheme: Scheme) -> dict[str, str | int]:
    is_exact = scheme.arithmetic == "f32"
    return {
        "INFERENCE_PRECISION_HINT": scheme.arithmetic,
        "KV_CACHE_PRECISION": "f32" if is_exact else "bf16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0 if is_exact else ACTIVATION_GROUP,
    }
