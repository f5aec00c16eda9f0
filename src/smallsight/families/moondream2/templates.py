r"""moondream2's prompt templates: the token ids around user text, and the prompts that mean a caption.

Source: vikhyat/moondream 8ac77eb, torch/config.py. With the published tokenizer the ids decode to "\n\nShort
caption:", "\n\nCaption:", "\n\nQuestion:" and "\n\nAnswer:", "\n\nDetect:" and "\n\n", "\n\nPoint:" and
"\n\n".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from smallsight.errors import BrokenCheckpointError

PromptKind = Literal["query", "detect", "point"]
LENGTHS: Mapping[str, str] = MappingProxyType({"short": "short caption", "normal": "normal caption"})
DESCRIBE = LENGTHS["short"]
_KINDS: tuple[PromptKind, ...] = ("query", "detect", "point")
_PUBLISHED: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "caption": {"short": (198, 198, 16438, 8305, 25), "normal": (198, 198, 24334, 1159, 25)},
    "query": {"prefix": (198, 198, 24361, 25), "suffix": (198, 198, 33706, 25)},
    "detect": {"prefix": (198, 198, 47504, 25), "suffix": (628,)},
    "point": {"prefix": (198, 198, 12727, 25), "suffix": (628,)},
}


@dataclass(frozen=True)
class Templates:
    """Token ids of each caption, by its length, and the ids (before, after) the text of other prompts."""

    captions: Mapping[str, tuple[int, ...]]
    around: Mapping[PromptKind, tuple[tuple[int, ...], tuple[int, ...]]]

    def caption_of(self, prompt: str) -> tuple[int, ...] | None:
        """Return the template of a prompt that means a caption, such as "short caption", or None."""
        wanted = prompt.strip().casefold()
        return next((ids for name, ids in self.captions.items() if wanted == LENGTHS[name]), None)


def read_templates(path: Path, given: object, vocabulary: int) -> Templates:
    """Return the templates of a config.json, or the published ones; raises BrokenCheckpointError."""
    described: Any = _PUBLISHED if given is None else given
    try:
        captions = {name: _ids(described["caption"][name], vocabulary) for name in LENGTHS}
        around = {
            kind: (_ids(described[kind]["prefix"], vocabulary), _ids(described[kind]["suffix"], vocabulary))
            for kind in _KINDS
        }
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BrokenCheckpointError(
            f"{path} has invalid prompt templates: {error}.", hint="fetch it again."
        ) from error
    return Templates(captions, around)


def _ids(values: Any, vocabulary: int) -> tuple[int, ...]:  # noqa: ANN401 - from a file
    ids = tuple(int(value) for value in values)
    if not all(0 <= one < vocabulary for one in ids):
        raise ValueError(f"token ids {ids} are not all in the vocabulary of {vocabulary}")
    return ids
