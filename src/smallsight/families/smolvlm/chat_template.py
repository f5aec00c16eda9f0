"""A checkpoint's chat template: finds it and renders it in a sandbox.

Templates are untrusted code: they run in Jinja's immutable sandbox within limits, with the settings, the
functions and the special tokens that transformers provides.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta

from smallsight.catalog.checkpoint import read_json_object
from smallsight.catalog.checkpoint_text import read_checkpoint_text
from smallsight.errors import ArgumentError, BrokenCheckpointError, SmallsightError
from smallsight.families.smolvlm.template_limits import BoundedEnvironment, TemplateLimitError
from smallsight.policy.log import get_logger
from smallsight.policy.shown_text import on_one_line
from smallsight.policy.valid_text import is_valid_text

log = get_logger(__name__)

MAX_TEMPLATE_CHARS = 200_000
_MAX_RENDERED_CHARS = 4_000_000
_MAX_REASON_CHARS = 200
_TURNS = ("user", "assistant")
_MAX_PATTERN_CHARS = 100
_OLDER_FILES = ("chat_template.json", "processor_config.json", "tokenizer_config.json")
_TOKEN_FILES = ("special_tokens_map.json", "tokenizer_config.json")
_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _RefusedConversationError(TemplateError):
    """The template itself refused the conversation."""


@dataclass(frozen=True, slots=True)
class TemplateText:
    """A chat template as it is stored: its file, its text, and the special tokens that it may name."""

    path: Path
    text: str
    tokens: Mapping[str, str]


class ChatTemplate:
    """A compiled template."""

    def __init__(self, template: Template, environment: BoundedEnvironment, stored: TemplateText) -> None:
        self._template = template
        self._environment = environment
        self._path = stored.path
        self._text = stored.text
        self._tokens = stored.tokens

    @classmethod
    def load(cls, model_dir: Path) -> ChatTemplate:
        """Find and compile the template; raises BrokenCheckpointError if it is missing or damaged."""
        return cls.compile(find_template(model_dir))

    @classmethod
    def compile(cls, stored: TemplateText) -> ChatTemplate:
        """Compile a template; raises BrokenCheckpointError if it is damaged."""
        environment = BoundedEnvironment()
        environment.add_filter("tojson", _to_json)
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            if len(stored.text) > MAX_TEMPLATE_CHARS:
                raise TemplateLimitError(f"it has {len(stored.text)} characters (limit {MAX_TEMPLATE_CHARS})")
            return cls(environment.from_string(stored.text), environment, stored)
        except Exception as error:  # whatever Jinja and Python say of what is no program
            raise damaged(stored.path, reason_of(error)) from error

    @functools.cached_property
    def answer_opening(self) -> str:
        """The white space between the prompt and an answer, where the template writes any: " " or ""."""
        turns = [{"role": role, "content": [{"type": "text", "text": "answer"}]} for role in _TURNS]
        try:
            prompt, whole = self.render(turns[:1]), self.render(turns)
        except SmallsightError:  # a template that takes no answers
            return ""
        opening = whole.removeprefix(prompt).partition("answer")[0]
        return opening if whole.startswith(prompt) and opening.isspace() else ""

    @functools.cached_property
    def knows_tools(self) -> bool:
        """Whether the template has a place for tools."""
        return "tools" in meta.find_undeclared_variables(self._environment.parse(self._text))

    def render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """Return the conversation as text, ready for the assistant's next turn.

        Raises ArgumentError if the template refuses the conversation, and BrokenCheckpointError if it fails.
        """
        self._environment.begin()
        try:
            pieces: list[str] = []
            num_chars = 0
            given = {"tools": list(tools)} if tools else {}
            for piece in self._template.generate(
                messages=list(messages), add_generation_prompt=True, **given, **self._tokens
            ):
                num_chars += len(piece)
                if num_chars > _MAX_RENDERED_CHARS:
                    raise TemplateLimitError("it makes a text without end")
                pieces.append(piece)
            text = "".join(pieces)
            if not is_valid_text(text):
                raise TemplateLimitError("it writes text that is not Unicode")
            return text
        except TemplateLimitError as error:
            raise damaged(self._path, reason_of(error)) from error
        except _RefusedConversationError as error:
            raise ArgumentError(
                f"The chat template of {self._path.parent.name} does not accept this conversation: "
                f"{_in_short(error)}.",
                hint="alternate user and assistant messages.",
            ) from error
        except Exception as error:  # whatever the template's code raises
            raise BrokenCheckpointError(
                f"The chat template in {self._path} failed on this conversation ({reason_of(error)}).",
                hint="ask in one message with one picture, or use another checkpoint.",
            ) from error


def damaged(path: Path, why: str) -> BrokenCheckpointError:
    """Return the error for a template that cannot be used, on one line."""
    return BrokenCheckpointError(
        f"{path} has a damaged chat template: {why}.",
        hint="fetch it again, or use another checkpoint.",
    )


def reason_of(error: BaseException) -> str:
    """Return what an error of a template says, in short and on one line."""
    if isinstance(error, TemplateLimitError | TemplateSyntaxError):
        return _in_short(error)
    return f"{type(error).__name__}: {_in_short(error)}".removesuffix(": ")


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


def find_template(model_dir: Path) -> TemplateText:
    """Search the places of templates, newest first; raises BrokenCheckpointError if there is none.

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
        return TemplateText(path, text, _special_tokens(model_dir))
    if older is not None:
        return TemplateText(*older, _special_tokens(model_dir))
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


def _in_short(reason: object) -> str:
    return on_one_line(reason)[:_MAX_REASON_CHARS].rstrip(".")


def _now(pattern: str) -> str:
    if len(pattern) > _MAX_PATTERN_CHARS:
        raise TemplateLimitError("it formats the date with a huge pattern")
    return datetime.now().astimezone().strftime(pattern)
