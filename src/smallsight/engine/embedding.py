"""Opens picture embedding models: folders in Hugging Face layout whose networks embed pictures and texts."""

from __future__ import annotations

from pathlib import Path

from smallsight.catalog.catalog import load_embedding_catalog
from smallsight.catalog.checkpoint import read_family
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.openvino.picture_embedder import PictureEmbedder
from smallsight.families.embedding_families import EMBEDDING_FAMILIES
from smallsight.quant.scheme import scheme_named


def load_picture_embedder(
    model_dir: Path,
    precision: str = "int8",
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    uses_kernels: bool = False,
) -> PictureEmbedder:
    """Open a SigLIP or CLIP; its networks are loaded at their first use.

    Precision is "fp32", "bf16", "int8" or "int4"; 0 threads means one per physical core. Quantised weights
    are stored in ``prepared_dir``, if given. ``uses_kernels`` lets the extension compute a SigLIP's vision
    tower where that is possible. Raises SmallsightError.
    """
    scheme = scheme_named(precision)
    family = read_family(model_dir, load_embedding_catalog().model_types)
    model = EMBEDDING_FAMILIES[family].open_model(model_dir, scheme)
    request = LoadRequest(model_dir, scheme, threads, prepared_dir, EngineOptions(uses_kernels=uses_kernels))
    return PictureEmbedder(model, request, family)
