"""The table of loaders by engine and family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from smallsight.engine.engine import Engine, EngineOptions, LoadRequest
from smallsight.engine.openvino.florence2 import load_florence2
from smallsight.engine.openvino.inline import load_inline
from smallsight.engine.openvino.moondream2 import load_moondream2
from smallsight.engine.reference.inline import load_reference
from smallsight.engine.torch.packages import require_torch
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family, Plan
from smallsight.families.registry import FAMILIES
from smallsight.policy.progress import OnProgress
from smallsight.quant.scheme import READABLE_FOR_TORCH, SCHEMES, Scheme

OPENVINO, REFERENCE, TORCH = "openvino", "reference", "torch"


Loader = Callable[[Family, LoadRequest], Engine]  # raises SmallsightError


def _torch_smolvlm(family: Family, request: LoadRequest) -> Engine:
    from smallsight.engine.torch.smolvlm import load_torch_smolvlm  # noqa: PLC0415 - torch is an extra

    return load_torch_smolvlm(family, request)


def _torch_florence2(family: Family, request: LoadRequest) -> Engine:
    from smallsight.engine.torch.florence2 import load_torch_florence2  # noqa: PLC0415 - torch is an extra

    return load_torch_florence2(family, request)


def _torch_moondream2(family: Family, request: LoadRequest) -> Engine:
    from smallsight.engine.torch.moondream2 import load_torch_moondream2  # noqa: PLC0415 - torch is an extra

    return load_torch_moondream2(family, request)


_BY_PLAN: Mapping[Plan, Loader] = {
    Plan.INLINE: load_inline,
    Plan.ENCODER_DECODER: load_florence2,
    Plan.PREFIX: load_moondream2,
}
LOADERS: Mapping[tuple[str, str], Loader] = {
    **{(OPENVINO, family.name): _BY_PLAN[family.plan] for family in FAMILIES.values()},
    (REFERENCE, "smolvlm"): load_reference,
    (TORCH, "smolvlm"): _torch_smolvlm,
    (TORCH, "florence2"): _torch_florence2,
    (TORCH, "moondream2"): _torch_moondream2,
}


def schemes_of(engine: str) -> Mapping[str, Scheme]:
    """Return the schemes that texts for an engine may begin with."""
    return READABLE_FOR_TORCH if engine == TORCH else SCHEMES


def load_engine(
    family: str,
    model_dir: Path,
    scheme: Scheme,
    *,
    engine: str = OPENVINO,
    device: str = "auto",
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
    compile: bool = False,  # noqa: A002 - the word of torch
) -> Engine:
    """Load a model folder in Hugging Face layout; raises SmallsightError.

    ``on_progress`` is called with the fraction that is done, 0 to 1. ``compile`` is for the torch engine.
    """
    loader = LOADERS.get((engine, family))
    if loader is None:
        raise ModelNotRunnableError(f"The engine {engine!r} cannot run {family} models.")
    if compile and engine != TORCH:
        raise ModelNotRunnableError(
            f"The engine {engine!r} has no option to compile decoding.", hint="omit compile, or use 'torch'."
        )
    if engine == TORCH:
        require_torch()
    record = FAMILIES[family]
    if record.check_template is not None:
        record.check_template(model_dir, prepared_dir)
    request = LoadRequest(
        model_dir, scheme, threads, prepared_dir, options or EngineOptions(), on_progress, device, compile
    )
    return loader(record, request)
