"""Decides whether two questions are the same, by a digest of everything that determines a greedy answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from smallsight.answering.question import Link, Question, Turn
from smallsight.answering.tool_calls import tools_text
from smallsight.inventory.served_models import ServedModel
from smallsight.model.picture_argument import NamedBytes
from smallsight.version import __version__

_UNIMPORTANT = {"seed"}  # greedy decoding uses no random numbers


def question_digest(question: Question, served: ServedModel, files: Mapping[str, NamedBytes]) -> bytes | None:
    """Return a SHA-256 that identifies a question's answer, or None if a second answer may differ.

    Pictures and videos count by content and file name, whatever their URL. None also with logprobs, which
    need the model's vocabulary, and for models on other servers, which may change unnoticed.
    """
    temperature = served.temperature if question.temperature is None else question.temperature
    if served.remote is not None or temperature != 0 or "num_logprobs" in question.sampling:
        return None
    determining = {
        "version": __version__,
        "model": [served.name, *served.load_key],
        "turns": [_turn(turn, files) for turn in question.turns],
        "detail": question.detail,
        "max_tokens": question.max_tokens or served.max_tokens,
        "num_choices": question.num_choices,
        "sampling": {
            name: question.sampling[name] for name in sorted(question.sampling.keys() - _UNIMPORTANT)
        },
    }
    if question.tools is not None:  # models that know tools read them
        determining["tools"] = tools_text(question.tools)
    return hashlib.sha256(json.dumps(determining).encode("ascii")).digest()


def _turn(turn: Turn, files: Mapping[str, NamedBytes]) -> list[Any]:
    return [turn.role, *(_shown(part, files) if isinstance(part, Link) else str(part) for part in turn.parts)]


def _shown(link: Link, files: Mapping[str, NamedBytes]) -> list[str]:
    """Identify a file by kind, name and content; as a video it is opened differently than as a picture."""
    file = files[link.url]
    return [type(link).__name__, file.name, hashlib.sha256(file.data).hexdigest()]
