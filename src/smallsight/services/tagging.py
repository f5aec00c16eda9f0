"""Wires the model that tags pictures: its name from the settings, and the check that it can tag."""

from __future__ import annotations

from smallsight.errors import SettingsError
from smallsight.library.tagging import NEEDED_TASKS, ModelTagger
from smallsight.model.model import Model
from smallsight.settings import Settings


def tagging_model(settings: Settings) -> tuple[str, str]:
    """Return the name and precision of the model that tags; raises SettingsError if none is set."""
    name = settings.tags.model or settings.describe.model
    if name is None:
        raise SettingsError(
            "No model is set to tag pictures.",
            hint="name a Florence-2 with `--tags-model NAME` or in the setting tags.model; "
            "`smallsight models` lists them.",
        )
    describes_too = name == settings.describe.model
    return name, settings.describe.precision if describes_too else settings.tags.precision


def make_tagger(model: Model, settings: Settings) -> ModelTagger:
    """Return a tagger that uses this model; raises SettingsError if it lacks the tasks."""
    if not model.tasks >= NEEDED_TASKS:
        raise SettingsError(
            f"{model.name} cannot tag pictures: only Florence-2 detects things with their boxes.",
            hint="name a Florence-2 with `--tags-model NAME` or in the setting tags.model; the model that "
            "describes may be another.",
        )
    return ModelTagger(model, settings.limits)
