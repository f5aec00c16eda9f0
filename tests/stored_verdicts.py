"""Verdicts in a library, as if a validation had stored them on this machine."""

from __future__ import annotations

from smallsight.catalog.catalog import load_catalog
from smallsight.library.validation_keeping import keep_validation
from smallsight.library.validations import StoredValidation
from smallsight.quant.scheme import SCHEMES
from smallsight.services.model_verdicts import machine_name
from smallsight.settings import Settings
from smallsight.version import __version__

QUALITIES = {"stable": 0.984, "experimental": 0.91, "do not ship": 0.61}


def store_verdict(settings: Settings, model: str, verdict: str, **changes: object) -> StoredValidation:
    """Store a verdict about a model, with a quality that goes with it."""
    quality = QUALITIES[verdict]
    entry = load_catalog().get(model)
    precision = "bf16" if entry is None else entry.precision
    values: dict[str, object] = {
        "model": model,
        "base": "SmolVLM-256M-Instruct",
        "version": __version__,
        "machine": machine_name(),
        "picture_set": "4f1d" * 16,
        "measured_at_s": 1_795_867_200.0,
        "verdict": verdict,
        "is_decided": True,
        "reasons": (f"The mean quality is {100 * quality:.1f} %; experimental needs 85 %.",),
        "summary": {"num_pictures": 64, "quality": {"mean": quality, "low": quality, "high": quality}},
        "precision": precision,
        "scheme": SCHEMES[precision].identity if precision is not None else None,
        "loaded_bytes": 500 * 1024**2,
        "peak_bytes": 700 * 1024**2,
        "tokens_per_s": 61.5,
        "pictures_per_min": 14.25,
    }
    stored = StoredValidation(**(values | changes))  # type: ignore[arg-type]
    keep_validation(settings.database_path, stored)
    return stored
