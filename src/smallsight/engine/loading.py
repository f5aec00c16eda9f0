"""The engine of each family that can be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from smallsight.engine.engine import Engine, EngineOptions
from smallsight.engine.openvino.florence2 import load_florence2
from smallsight.engine.openvino.moondream2 import load_moondream2
from smallsight.engine.openvino.smolvlm import load_smolvlm
from smallsight.errors import ModelNotRunnableError
from smallsight.policy.progress import OnProgress
from smallsight.quant.scheme import SCHEMES

_LOADERS: Mapping[str, Callable[..., Engine]] = {
    "smolvlm": load_smolvlm,
    "florence2": load_florence2,
    "moondream2": load_moondream2,
}


def load_engine(
    family: str,
    model_dir: Path,
    precision: str,
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Engine:
    """Load a folder in Hugging Face layout in one of ``SCHEMES``; raises subclasses of SmallsightError.

    ``on_progress`` is called with the part that is done, from 0 to 1.
    """
    if precision not in SCHEMES:
        raise ModelNotRunnableError(
            f"The OpenVINO engine has no precision {precision!r}.",
            hint=f"load the base model with {', '.join(SCHEMES)}.",
        )
    return _LOADERS[family](
        model_dir,
        precision,
        threads=threads,
        prepared_dir=prepared_dir,
        options=options,
        on_progress=on_progress,
    )
