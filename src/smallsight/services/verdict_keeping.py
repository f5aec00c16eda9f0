"""Stores the verdict of a validation in the library, where ``model_verdicts`` finds it."""

from __future__ import annotations

from smallsight.catalog.entry import Verdict
from smallsight.library.validation_keeping import keep_validation
from smallsight.library.validations import StoredValidation
from smallsight.services.model_verdicts import machine_name
from smallsight.settings import Settings
from smallsight.validation.measured_system import REFERENCE, TORCH
from smallsight.validation.result import ValidationResult
from smallsight.version import __version__


def keep_verdict(settings: Settings, result: ValidationResult) -> None:
    """Store the verdict of a validation in the library, unless nothing could be measured.

    One with the torch or the reference engine is not kept: a model's verdict is that of the default engine.
    May be called while another process indexes. Raises LibraryBusyError, LibraryDamagedError or StorageError.
    """
    of_other_engine = result.variant.system.engine in (REFERENCE, TORCH)
    if of_other_engine or result.judgement.verdict is Verdict.NOT_MEASURED:
        return
    keep_validation(settings.database_path, stored_validation(result))


def stored_validation(result: ValidationResult) -> StoredValidation:
    """Return what the library keeps of a result."""
    variant, memory, speed = result.variant.system, result.variant.memory, result.variant.speed
    return StoredValidation(
        model=variant.name,
        base=result.base.system.name,
        version=variant.version or __version__,
        machine=machine_name(result.machine.processor, result.machine.instruction_sets),
        picture_set=result.picture_set,
        measured_at_s=result.measured_at.timestamp(),
        verdict=result.judgement.verdict.value,
        is_decided=result.judgement.is_decided,
        reasons=result.judgement.reasons,
        summary=result.summary.model_dump(mode="json"),
        scheme=variant.scheme,
        precision=variant.precision,
        key=variant.key,
        weights_bytes=None if memory is None else memory.weights_bytes,
        loaded_bytes=None if memory is None else memory.loaded_bytes,
        peak_bytes=None if memory is None else memory.peak_bytes,
        first_token_s=None if speed is None else speed.first_token_s.median,
        tokens_per_s=None if speed is None or speed.tokens_per_s is None else speed.tokens_per_s.median,
        pictures_per_min=None if speed is None else speed.pictures_per_min.median,
    )
