"""A checkpoint's chat template: finds it and renders it in a sandbox.

Templates are untrusted code: they run in Jinja's immutable sandbox, with the settings and the few functions
that transformers provides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import ArgumentError, BrokenCheckpointError

MAX_TEMPLATE_CHARS = 200_000


class ChatTemplate:
    """A compiled template."""

    def __init__(self, template: Template, path: Path) -> None:
        self._template = template
        self._path = path

    @classmethod
    def load(cls, model_dir: Path) -> ChatTemplate:
        """Find and compile the template; raises BrokenCheckpointError if it is missing or invalid."""
        path, text = _find(model_dir)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _now
        try:
            return cls(environment.from_string(text[:MAX_TEMPLATE_CHARS]), path)
        except TemplateError as error:
            raise BrokenCheckpointError(f"{path} has an invalid chat template: {error}.") from error

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the conversation as text, ready for the assistant's next turn."""
        try:
            return self._template.render(messages=list(messages), add_generation_prompt=True)
        except TemplateError as error:
            raise ArgumentError(
                f"The chat template of {self._path.parent.name} does not accept this conversation: {error}.",
                hint="alternate user and assistant messages.",
            ) from error


def render_with_video(messages: Sequence[Mapping[str, Any]], places: Mapping[str, str]) -> str:
    """Return a conversation with a video as text; ``places`` maps "image" and "video" to placeholders.

    The reference then ignores the checkpoint's template and uses this fixed format.
    Source: transformers 5.x, processing_smolvlm.
    """
    text = ["<|im_start|>"]
    for message in messages:
        content = message["content"]
        begins_with_image = bool(content) and content[0]["type"] == "image"
        text += [message["role"].capitalize(), ":" if begins_with_image else ": "]
        text += [part["text"] if part["type"] == "text" else places[part["type"]] for part in content]
        text.append("<end_of_utterance>\n")
    return "".join([*text, "Assistant:"])


def _find(model_dir: Path) -> tuple[Path, str]:
    """Search the files in which transformers stores templates, newest convention first."""
    path = model_dir / "chat_template.jinja"
    if path.exists():
        try:
            return path, path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise BrokenCheckpointError(f"{path} cannot be read: {error}.", hint="fetch it again.") from error
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        path = model_dir / name
        if path.exists() and isinstance(text := read_json_object(path).get("chat_template"), str):
            return path, text
    raise BrokenCheckpointError(
        f"{model_dir} has no chat template.", hint="fetch chat_template.json or chat_template.jinja."
    )


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)
