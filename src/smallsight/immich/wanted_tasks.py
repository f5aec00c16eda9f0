"""What a request wants: the tasks in its field ``entries``.

Source: Immich's server (machine-learning.repository.ts) and its machine-learning service (schemas.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from smallsight.errors import BadRequestError, TaskNotServedError
from smallsight.http.json_body import parse_json

MAX_ENTRIES_CHARS = 64 * 1024
_MAX_TASKS = 8
_HINT = "in Immich, add the URL of its own machine-learning container after this one."
_OCR, _SEARCH = "ocr", "clip"
_TEXT_MODELS = ("all-minilm-l6-v2", "sentence-transformers/all-minilm-l6-v2", "all-minilm-l6-v2__onnx")


class WantedModel(BaseModel):
    """One model of a task, and its options; unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    modelName: Annotated[str, Field(max_length=300)]
    options: dict[str, Any] = Field(default_factory=dict)


_Tasks = dict[str, dict[str, WantedModel]]
_TASKS: TypeAdapter[_Tasks] = TypeAdapter(_Tasks)


@dataclass(frozen=True, slots=True)
class WantedTasks:
    """The tasks of one request that this server does."""

    reads_text: bool
    min_confidence: float
    embeds_text: bool


def wanted_tasks(entries: str) -> WantedTasks:
    """Return what a request wants; raises BadRequestError, and TaskNotServedError for any other task."""
    tasks = _parsed(entries)
    for task, models in tasks.items():
        if task == _OCR:
            continue
        if task != _SEARCH or "visual" in models:
            raise TaskNotServedError(
                f"This server does not serve the task {_named(task, models)}.",
                hint=_HINT,
            )
        for wanted in models.values():
            _require_text_model(wanted.modelName)
    recognition = tasks.get(_OCR, {}).get("recognition")
    options = {} if recognition is None else recognition.options
    least = options.get("minScore", 0.0)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise BadRequestError("entries: minScore has to be a number from 0 to 1.", param="entries")
    return WantedTasks(_OCR in tasks, float(least), _SEARCH in tasks)


def _parsed(entries: str) -> _Tasks:
    if len(entries) > MAX_ENTRIES_CHARS:
        raise BadRequestError(f"entries has more than {MAX_ENTRIES_CHARS} characters.", param="entries")
    try:
        tasks = _TASKS.validate_python(parse_json(entries.encode("utf-8", "surrogatepass")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["entries", *map(str, first["loc"])])
        raise BadRequestError(f"{place}: {first['msg']}.", param="entries") from error
    if not 1 <= len(tasks) <= _MAX_TASKS or not all(tasks.values()):
        raise BadRequestError(
            "entries names no task, or too many.",
            hint='{"ocr": {"detection": {"modelName": "..."}, "recognition": {"modelName": "..."}}}',
            param="entries",
        )
    return tasks


def _require_text_model(name: str) -> None:
    """Refuse models whose vectors would be compared with those of pictures, which this server lacks."""
    if name.lower() not in _TEXT_MODELS:
        raise TaskNotServedError(
            f"This server does not have the model {name!r}: its vectors of texts are those of "
            "all-MiniLM-L6-v2, which have 384 numbers and cannot be compared with vectors of pictures.",
            hint=_HINT,
        )


def _named(task: str, models: dict[str, WantedModel]) -> str:
    return f"{task} ({', '.join(models)})"
