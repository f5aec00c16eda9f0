"""What Ollama's clients are told about a model: its names, size, details and context length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.errors import ModelError
from smallsight.inventory.listing import ModelService, ModelStatus
from smallsight.inventory.served_models import ServedModel, ServedModels
from smallsight.ollama.answer_lines import timestamp
from smallsight.services.text_model import TextModel, TextModelFacts
from smallsight.settings import Settings

_TAG = ":latest"


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """One model as clients see it; ``context_length`` is None where the files do not say."""

    name: str
    family: str
    size_bytes: int = 0
    num_parameters: int | None = None
    precision: str = ""
    context_length: int | None = None
    licence: str = ""
    prompt: str = ""
    changed_s: float = 0.0
    capabilities: tuple[str, ...] = ("completion", "vision")

    @property
    def tagged_name(self) -> str:
        """The name with a tag, which every name has in Ollama."""
        return self.name + _TAG

    def details(self) -> dict[str, Any]:
        """Return the object ``details``."""
        return {
            "parent_model": "",
            "format": "safetensors",
            "family": self.family,
            "families": [self.family],
            "parameter_size": _shown_number(self.num_parameters),
            "quantization_level": self.precision.upper(),
        } | ({} if self.context_length is None else {"context_length": self.context_length})

    def listed(self) -> dict[str, Any]:
        """Return the model's entry in the list of models."""
        return {
            "name": self.tagged_name,
            "model": self.tagged_name,
            "modified_at": timestamp(self.changed_s),
            "size": self.size_bytes,
            "digest": self.digest,
            "details": self.details(),
            "capabilities": list(self.capabilities),
        }

    def shown(self) -> dict[str, Any]:
        """Return everything that is known about the model."""
        information: dict[str, Any] = {"general.architecture": self.family, "general.basename": self.name}
        if self.num_parameters is not None:
            information["general.parameter_count"] = self.num_parameters
        if self.context_length is not None:
            information[f"{self.family}.context_length"] = self.context_length
        return {
            "license": self.licence,
            "modelfile": "",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": self.details(),
            "model_info": information,
            "capabilities": list(self.capabilities),
            "modified_at": timestamp(self.changed_s),
        }

    @property
    def digest(self) -> str:
        """A SHA-256 that identifies the model and its files; not one of Ollama's manifests."""
        mark = f"{self.name}|{self.size_bytes}|{self.changed_s}|{self.precision}"
        return hashlib.sha256(mark.encode("utf-8")).hexdigest()


class OllamaModels:
    """Makes cards from files' headers; every call reads files, so make it in a thread."""

    def __init__(self, models: ServedModels, settings: Callable[[], Settings], text_model: TextModel) -> None:
        self._models = models
        self._settings = settings
        self._text_model = text_model

    def all(self) -> list[OllamaModel]:
        """Return a card for every model that can be used, the text model last."""
        service = ModelService(self._settings())
        cards = [
            self._card(self._models.find(one.name), one.context_tokens, service)
            for one in self._models.list()
        ]
        facts = self._text_model.find()
        return [*cards, *([] if facts is None else [_text_card(facts)])]

    def find(self, name: str | None) -> OllamaModel:
        """Return one model's card; raises UnknownModelError and BadRequestError."""
        if name is not None and self._text_model.is_named(name):
            facts = self._text_model.find()
            if facts is not None:
                return _text_card(facts)
        served = self._models.find(name)
        context_tokens = self._models.get(served.name).context_tokens
        return self._card(served, context_tokens, ModelService(self._settings()))

    def _card(self, served: ServedModel, context_tokens: int | None, service: ModelService) -> OllamaModel:
        if served.remote is not None:
            return OllamaModel(served.name, "remote")
        try:
            status = service.show(served.name)
        except ModelError:  # the active folder, which has no name in the list
            return OllamaModel(
                served.name, "unknown", precision=served.precision, context_length=context_tokens
            )
        return _status_card(status, served, context_tokens)


def _status_card(status: ModelStatus, served: ServedModel, context_tokens: int | None) -> OllamaModel:
    entry, files = status.entry, status.files
    precision = served.precision
    if precision == "auto":
        precision = next(iter(status.memory_bytes), "")
    return OllamaModel(
        name=status.name,
        family=status.family,
        size_bytes=0 if files is None else files.size_bytes,
        num_parameters=status.parameters,
        precision=str(precision),
        context_length=context_tokens,
        licence="" if entry is None else entry.licence.spdx,
        prompt="" if entry is None else entry.default_prompt,
        changed_s=0.0 if files is None else _changed_s(files.directory),
    )


def _text_card(facts: TextModelFacts) -> OllamaModel:
    return OllamaModel(
        facts.name,
        "bert",
        size_bytes=facts.size_bytes,
        num_parameters=facts.size_bytes // 4,
        precision="f32",
        context_length=facts.context_tokens,
        licence="Apache-2.0",
        changed_s=facts.changed_s,
        capabilities=("embedding",),
    )


def _changed_s(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _shown_number(number: int | None) -> str:
    """Return a number of parameters as Ollama writes it: "1.9B", "256M"."""
    if number is None:
        return ""
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
