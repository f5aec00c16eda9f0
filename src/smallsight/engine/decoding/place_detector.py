"""Detects places of a named thing in a picture: the decoder's inputs step by step, and the result.

Instead of choosing a token, a head decodes a number from the hidden state, and the encoded number is the next
input: x, y and, for boxes, width and height; then the end token or the next x. Policy over vectors, without a
network. Source: vikhyat/moondream 8ac77eb, torch/moondream.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.errors import InvalidTextError
from smallsight.families.places import Place
from smallsight.policy.valid_text import is_valid_text

PlaceKind = Literal["detect", "point"]


class NumberHead(Protocol):
    """Decodes numbers from the decoder's hidden state and encodes them as its next input."""

    def read_coordinate(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return x or y."""
        ...

    def read_size(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return width and height."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """Fractions of the picture's sides, the bins, and the decoder's next input, float32 [hidden]."""

    values: tuple[float, ...]
    bins: tuple[int, ...]
    num_bins: int
    embedding_D: NDArray[np.float32]

    @property
    def code(self) -> int:
        """The bins combined into one integer."""
        code = 0
        for one in self.bins:
            code = code * self.num_bins + one
        return code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A detection request: boxes ("detect") or points ("point") of the things named ``what``.

    ``picture`` is the picture's (width, height) in pixels.
    """

    kind: PlaceKind
    what: str
    picture: tuple[int, int]
    max_places: int

    def __post_init__(self) -> None:
        if not is_valid_text(self.what):
            raise InvalidTextError.of("The name of what to detect")

    @property
    def numbers_per_place(self) -> int:
        """Decoder steps per place."""
        return 3 if self.kind == "detect" else 2


class PlaceDetector:
    """The places of one request: call ``choose`` for each step until ``has_ended`` or ``is_full``."""

    def __init__(self, wanted: Wanted, head: NumberHead, end_token_id: int) -> None:
        self._wanted = wanted
        self._head = head
        self._end_token_id = end_token_id
        self._numbers: list[Number] = []
        self.has_ended = False

    @property
    def is_full(self) -> bool:
        """Whether ``max_places`` places were found."""
        return len(self._numbers) >= self._wanted.max_places * self._wanted.numbers_per_place

    def choose(self, logits_V: NDArray[np.float32], hidden_D: NDArray[np.float32]) -> TokenChoice:
        """Return the end token, or the code of the number decoded in this step."""
        part = len(self._numbers) % self._wanted.numbers_per_place
        if part == 0 and int(logits_V.argmax()) == self._end_token_id:
            self.has_ended = True
            return TokenChoice(self._end_token_id)
        number = self._head.read_size(hidden_D) if part == 2 else self._head.read_coordinate(hidden_D)
        self._numbers.append(number)
        return TokenChoice(number.code)

    def embeddings(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return the decoder's inputs for steps [begin, end), float32 [steps, hidden]."""
        return np.stack([number.embedding_D for number in self._numbers[begin:end]])

    def places(self) -> list[Place]:
        """Return the complete places found so far."""
        step = self._wanted.numbers_per_place
        whole = len(self._numbers) // step * step
        return [_place(self._numbers[begin : begin + step]) for begin in range(0, whole, step)]

    def data(self) -> Mapping[str, Any]:
        """Return the places in pixels of the picture: ``bboxes`` [left, top, right, bottom] or ``points``
        [x, y].
        """
        found = [list(place.in_pixels(self._wanted.picture)) for place in self.places()]
        name = "bboxes" if self._wanted.kind == "detect" else "points"
        return {"task": self._wanted.kind, name: found, "labels": [self._wanted.what] * len(found)}

    def text(self) -> str:
        """Return one line per place, in whole pixels."""
        found = [place.in_pixels(self._wanted.picture) for place in self.places()]
        return "\n".join(
            f"{self._wanted.what}: {', '.join(f'{one:.0f}' for one in place)}" for place in found
        )


def _place(numbers: Sequence[Number]) -> Place:
    x, y = numbers[0].values[0], numbers[1].values[0]
    return Place(x, y, (numbers[2].values[0], numbers[2].values[1]) if len(numbers) == 3 else None)
