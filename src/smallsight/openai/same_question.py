"""When two questions are the same: one digest of everything that decides a greedy answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from smallsight.inventory.served_models import ServedModel
from smallsight.model.picture_argument import NamedBytes
from smallsight.openai.question import Link, Question, Turn
from smallsight.version import __version__

_UNIMPORTANT = {"seed"}  # nothing is drawn


def question_digest(question: Question, served: ServedModel, files: Mapping[str, NamedBytes]) -> bytes | None:
    """Return what names a question's answer, or None where asking again may give another one.

    Pictures and videos count by their content and file name, wherever they came from. An answer with logprobs
    is not named: those belong to a vocabulary. What another server's model becomes is not known here.
    """
    temperature = served.temperature if question.temperature is None else question.temperature
    if served.remote is not None or temperature != 0 or "num_logprobs" in question.sampling:
        return None
    decides = {
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
    return hashlib.sha256(json.dumps(decides).encode("ascii")).digest()


def _turn(turn: Turn, files: Mapping[str, NamedBytes]) -> list[Any]:
    return [turn.role, *(part if isinstance(part, str) else _shown(part, files) for part in turn.parts)]


def _shown(link: Link, files: Mapping[str, NamedBytes]) -> list[str]:
    """Name a file by its content; as a video it is looked at otherwise than as a picture."""
    file = files[link.url]
    return [type(link).__name__, file.name, hashlib.sha256(file.data).hexdigest()]
