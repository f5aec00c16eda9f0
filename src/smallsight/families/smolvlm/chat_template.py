"""A checkpoint's chat template: finds it and renders it in a sandbox.

Templates are untrusted code: they run in Jinja's immutable sandbox, with the settings, the functions and the
special tokens that transformers provides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import structlog
from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from smallsight.catalog.checkpoint import read_json_object
from smallsight.catalog.checkpoint_text import read_checkpoint_text
from smallsight.errors import ArgumentError, BrokenCheckpointError

log = structlog.get_logger(__name__)

MAX_TEMPLATE_CHARS = 200_000
_MAX_RENDERED_CHARS = 4_000_000
_OLDER_FILES = ("chat_template.json", "processor_config.json", "tokenizer_config.json")
_TOKEN_FILES = ("special_tokens_map.json", "tokenizer_config.json")
_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _RefusedConversationError(TemplateError):
    """The template itself refused the conversation."""


class _GenerationTag(Extension):
    """The tag ``{% generation %}``, which marks the assistant's words for training: its body is rendered."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Return the body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled template."""

    def __init__(self, template: Template, path: Path, tokens: Mapping[str, str]) -> None:
        self._template = template
        self._path = path
        self._tokens = tokens

    @classmethod
    def load(cls, model_dir: Path) -> ChatTemplate:
        """Find and compile the template; raises BrokenCheckpointError if it is missing or invalid."""
        path, text = _find(model_dir)
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _GenerationTag]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            return cls(environment.from_string(text[:MAX_TEMPLATE_CHARS]), path, _special_tokens(model_dir))
        except (TemplateError, RecursionError) as error:
            raise BrokenCheckpointError(f"{path} has an invalid chat template: {error}.") from error

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the conversation as text, ready for the assistant's next turn.

        Raises ArgumentError if the template refuses the conversation, and BrokenCheckpointError if it fails.
        """
        try:
            pieces: list[str] = []
            num_chars = 0
            for piece in self._template.generate(
                messages=list(messages), add_generation_prompt=True, **self._tokens
            ):
                num_chars += len(piece)
                if num_chars > _MAX_RENDERED_CHARS:
                    raise BrokenCheckpointError(
                        f"The chat template in {self._path} makes a text without end "
                        f"(limit {_MAX_RENDERED_CHARS} characters)."
                    )
                pieces.append(piece)
            return "".join(pieces)
        except BrokenCheckpointError:
            raise
        except _RefusedConversationError as error:
            raise ArgumentError(
                f"The chat template of {self._path.parent.name} does not accept this conversation: {error}.",
                hint="alternate user and assistant messages.",
            ) from error
        except Exception as error:  # whatever the template's code raises
            reason = f"{type(error).__name__}: {error}"[:200]
            raise BrokenCheckpointError(
                f"The chat template in {self._path} failed on this conversation ({reason}).",
                hint="ask in one message with one picture, or use another checkpoint.",
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
    """Search the places of templates, newest first.

    transformers 5.24 prefers the older chat_template.json to chat_template.jinja, so that a template changed
    and saved in place has no effect there. Here the newer file counts, and a difference is logged.
    """
    path = model_dir / "chat_template.jinja"
    older = next(
        (
            (model_dir / name, text)
            for name in _OLDER_FILES
            if (model_dir / name).exists()
            and (text := _template_in(read_json_object(model_dir / name))) is not None
        ),
        None,
    )
    if path.exists():
        text = read_checkpoint_text(path)
        if older is not None and older[1].strip() != text.strip():
            log.warning("chat_templates_differ", used=str(path), ignored=str(older[0]))
        return path, text
    if older is not None:
        return older
    raise BrokenCheckpointError(
        f"{model_dir} has no chat template.", hint="fetch chat_template.json or chat_template.jinja."
    )


def _template_in(described: Mapping[str, Any]) -> str | None:
    """Return a template given as text, or the one named "default" of a list of them."""
    given = described.get("chat_template")
    if isinstance(given, list):
        given = next(
            (one.get("template") for one in given if isinstance(one, dict) and one.get("name") == "default"),
            None,
        )
    return given if isinstance(given, str) else None


def _special_tokens(model_dir: Path) -> dict[str, str]:
    """Return the special tokens that templates may name; a file that cannot be used gives none."""
    tokens: dict[str, str] = {}
    for name in _TOKEN_FILES:
        path = model_dir / name
        described = read_json_object(path) if path.exists() else {}
        for token_name in _TOKEN_NAMES:
            given = described.get(token_name)
            content = given.get("content") if isinstance(given, dict) else given
            if isinstance(content, str):
                tokens[token_name] = content
    return tokens


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> NoReturn:
    raise _RefusedConversationError(message)


def _now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)
