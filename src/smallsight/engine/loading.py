"""The table of loaders by engine and family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from smallsight.engine.engine import Engine, EngineOptions, LoadRequest
from smallsight.engine.openvino.florence2 import load_florence2
from smallsight.engine.openvino.inline import load_inline
from smallsight.engine.openvino.moondream2 import load_moondream2
from smallsight.engine.reference.inline import load_reference
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family, Plan
from smallsight.families.registry import FAMILIES
from smallsight.policy.progress import OnProgress
from smallsight.quant.scheme import Scheme

OPENVINO, REFERENCE = "openvino", "reference"


Loader = Callable[[Family, LoadRequest], Engine]  # raises SmallsightError

_BY_PLAN: Mapping[Plan, Loader] = {
    Plan.INLINE: load_inline,
    Plan.ENCODER_DECODER: load_florence2,
    Plan.PREFIX: load_moondream2,
}
LOADERS: Mapping[tuple[str, str], Loader] = {
    **{(OPENVINO, family.name): _BY_PLAN[family.plan] for family in FAMILIES.values()},
    (REFERENCE, "smolvlm"): load_reference,
}


def load_engine(
    family: str,
    model_dir: Path,
    scheme: Scheme,
    *,
    engine: str = OPENVINO,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Engine:
    """Load a model folder in Hugging Face layout; raises SmallsightError.

    ``on_progress`` is called with the fraction that is done, 0 to 1.
    """
    loader = LOADERS.get((engine, family))
    if loader is None:
        raise ModelNotRunnableError(f"The engine {engine!r} cannot run {family} models.")
    record = FAMILIES[family]
    if record.check_template is not None:
        record.check_template(model_dir, prepared_dir)
    request = LoadRequest(model_dir, scheme, threads, prepared_dir, options or EngineOptions(), on_progress)
    return loader(record, request)
