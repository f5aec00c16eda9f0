"""Wires the model that describes pictures: which one the settings name, and how it is asked."""

from __future__ import annotations

from smallsight.errors import SettingsError
from smallsight.library.describing import DescribeOptions
from smallsight.model.loading import load
from smallsight.model.model import Model
from smallsight.settings import Settings


def load_describing_model(settings: Settings) -> Model:
    """Load the model that ``describe.model`` names; raises SettingsError when it names none."""
    if settings.describe.model is None:
        raise SettingsError(
            "No model is chosen to describe pictures.",
            hint="name one with `--model NAME` or in the setting describe.model; `smallsight models` lists "
            "them. Smallsight-tiny, which spares the choice, arrives with a later release; `--model test` "
            "needs no files and repeats the words of the file's name.",
        )
    return load(settings.describe.model, precision=settings.describe.precision, settings=settings)


def describe_options(settings: Settings) -> DescribeOptions:
    """Return how the settings want pictures described."""
    wanted = settings.describe
    return DescribeOptions(
        prompt=wanted.prompt, detail=wanted.detail, max_tokens=wanted.max_tokens, length=wanted.length
    )
