"""Wires the model that describes pictures: its name and its options, from the settings."""

from __future__ import annotations

from smallsight.library.describing import DescribeOptions
from smallsight.model.loading import load
from smallsight.model.model import Model
from smallsight.settings import Settings

SHIPPED_MODEL = "Smallsight-tiny"
_MOST_WORKERS = 4  # Python's part of the work is done by one thread at a time


def describing_model(settings: Settings) -> str:
    """Return the setting ``describe.model``, or the model inside this package."""
    return settings.describe.model or SHIPPED_MODEL


def load_describing_model(settings: Settings, *, for_many: bool = False) -> Model:
    """Load the model that describes pictures, perhaps for very many; raises subclasses of SmallsightError."""
    return load(
        describing_model(settings),
        precision=settings.describe.precision,
        settings=settings,
        most_workers=_MOST_WORKERS if for_many else 1,
    )


def describe_options(settings: Settings) -> DescribeOptions:
    """Return the options for descriptions from the settings."""
    wanted = settings.describe
    return DescribeOptions(
        prompt=wanted.prompt, detail=wanted.detail, max_tokens=wanted.max_tokens, length=wanted.length
    )
