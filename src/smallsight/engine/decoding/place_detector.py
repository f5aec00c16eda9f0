"""Finding places of one thing in one picture: what goes into the decoder step by step, and what was found.

Where the decoder would go on with a token, a head reads a number from it instead, and the number goes back
in: x, y and, for boxes, width and height; then either the end token or the next x. Policy over vectors; no
network. Source: vikhyat/moondream 8ac77eb, torch/moondream.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.families.places import Place

PlaceKind = Literal["detect", "point"]


class NumberHead(Protocol):
    """Reads numbers from what the decoder thinks, and says what goes into it for them."""

    def read_coordinate(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return x or y."""
        ...

    def read_size(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return width and height."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """One or two parts of the picture's sides, the bins they were read as, and the decoder's next input."""

    values: tuple[float, ...]
    bins: tuple[int, ...]
    num_bins: int
    embedding_D: NDArray[np.float32]

    @property
    def code(self) -> int:
        """The bins as one number."""
        code = 0
        for one in self.bins:
            code = code * self.num_bins + one
        return code


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: "detect" wants boxes, "point" points, of things called ``what``.

    ``picture`` is (width, height) in pixels.
    """

    kind: PlaceKind
    what: str
    picture: tuple[int, int]
    max_places: int

    @property
    def numbers_per_place(self) -> int:
        """How many steps of the decoder a place takes."""
        return 3 if self.kind == "detect" else 2


class PlaceDetector:
    """The places of one request. Feed it what the decoder made until ``is_done``."""

    def __init__(self, wanted: Wanted, head: NumberHead, end_token_id: int) -> None:
        self._wanted = wanted
        self._head = head
        self._end_token_id = end_token_id
        self._numbers: list[Number] = []
        self.has_ended = False

    @property
    def is_full(self) -> bool:
        """Whether as many places were found as were asked for."""
        return len(self._numbers) >= self._wanted.max_places * self._wanted.numbers_per_place

    def choose(self, logits_V: NDArray[np.float32], hidden_D: NDArray[np.float32]) -> TokenChoice:
        """Take the next step: the end token, or the code of the number that was read."""
        part = len(self._numbers) % self._wanted.numbers_per_place
        if part == 0 and int(logits_V.argmax()) == self._end_token_id:
            self.has_ended = True
            return TokenChoice(self._end_token_id)
        number = self._head.read_size(hidden_D) if part == 2 else self._head.read_coordinate(hidden_D)
        self._numbers.append(number)
        return TokenChoice(number.code)

    def embeddings(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return what goes into the decoder for steps [begin, end), float32 [steps, hidden]."""
        return np.stack([number.embedding_D for number in self._numbers[begin:end]])

    def places(self) -> list[Place]:
        """Return the whole places found until now."""
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
        """Return a line for each place, in whole pixels."""
        found = [place.in_pixels(self._wanted.picture) for place in self.places()]
        return "\n".join(
            f"{self._wanted.what}: {', '.join(f'{one:.0f}' for one in place)}" for place in found
        )


def _place(numbers: Sequence[Number]) -> Place:
    x, y = numbers[0].values[0], numbers[1].values[0]
    return Place(x, y, (numbers[2].values[0], numbers[2].values[1]) if len(numbers) == 3 else None)
