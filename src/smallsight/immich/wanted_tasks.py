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
OTHER_SERVER_HINT = "in Immich, add the URL of its own machine-learning container after this one."
_OCR, _SEARCH = "ocr", "clip"
_VISUAL, _TEXTUAL = "visual", "textual"


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
    visual_model: str | None  # the model that embeds the picture
    textual_model: str | None  # the model that embeds the text


def wanted_tasks(entries: str) -> WantedTasks:
    """Return what a request wants; raises BadRequestError, and TaskNotServedError for any other task."""
    tasks = _parsed(entries)
    for task, models in tasks.items():
        if task != _OCR and (task != _SEARCH or models.keys() - {_VISUAL, _TEXTUAL}):
            raise TaskNotServedError(
                f"This server does not serve the task {task} ({', '.join(models)}).", hint=OTHER_SERVER_HINT
            )
    search = tasks.get(_SEARCH, {})
    if len(search) > 1:
        raise BadRequestError(
            "entries has clip for a picture and for a text, whose vectors have the same name in the answer.",
            hint="send two requests.",
            param="entries",
        )
    recognition = tasks.get(_OCR, {}).get("recognition")
    options = {} if recognition is None else recognition.options
    least = options.get("minScore", 0.0)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        raise BadRequestError("entries: minScore has to be a number from 0 to 1.", param="entries")
    visual, textual = (
        None if (wanted := search.get(kind)) is None else wanted.modelName for kind in (_VISUAL, _TEXTUAL)
    )
    return WantedTasks(_OCR in tasks, float(least), visual, textual)


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
