"""Plans the lives of measuring processes: which side is loaded when, and what it does.

Pure: no I/O, no clock. Sides take turns, so that a machine that grows slow or busy slows all of them. The
first round answers every picture and compares the tokens; later rounds repeat a few pictures for the speed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

SideName: TypeAlias = str  # BASE, or the name of a variant
BASE: SideName = "base"
MOST_TIMED = 16  # pictures that are answered in every round


@dataclass(frozen=True, slots=True)
class Visit:
    """One life of a measuring process: what it answers, and what it scores afterwards, by picture number.

    The base keeps its distributions for the pictures that it scores, a variant compares its own with them.
    """

    round: int
    side: SideName
    answers: tuple[int, ...]
    scores: tuple[int, ...] = ()

    @property
    def num_pieces(self) -> int:
        """How many pieces of work it consists of."""
        return len(self.answers) + len(self.scores)


@dataclass(slots=True)
class Finished:
    """What is done: answered pictures by round and side, and compared pictures by variant.

    ``kept`` are pictures whose distributions of the base are on disk, ``lost`` those that the base cannot
    score. Pictures that a variant cannot score count as compared.
    """

    answered: dict[tuple[int, SideName], set[int]] = field(default_factory=dict)
    compared: dict[SideName, set[int]] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)

    def is_compared(self, picture: int, variants: Collection[SideName]) -> bool:
        """Return whether none of these variants needs the base's distributions for a picture any more."""
        return picture in self.lost or all(picture in self.compared.get(one, ()) for one in variants)


def spread_evenly(num: int, most: int) -> tuple[int, ...]:
    """Return at most ``most`` numbers below ``num``, with equal distances."""
    if num <= most:
        return tuple(range(num))
    return tuple(place * num // most for place in range(most))


def plan_visits(
    variants: Sequence[SideName], num_pictures: int, num_rounds: int, *, scored: Collection[SideName]
) -> tuple[Visit, ...]:
    """Return every visit in order: base and variants in the first round, in the next ones to and fro.

    ``scored`` are the variants whose tokens are compared with the base's.
    """
    everything = tuple(range(num_pictures))
    timed = spread_evenly(num_pictures, MOST_TIMED)
    sides = (BASE, *variants)
    visits = [
        Visit(0, side, everything, everything if side in scored or (side == BASE and scored) else ())
        for side in sides
    ]
    for number in range(1, num_rounds):
        visits += [Visit(number, side, timed) for side in (reversed(sides) if number % 2 else sides)]
    return tuple(visits)


def remaining(visits: Sequence[Visit], finished: Finished) -> tuple[Visit, ...]:
    """Return the visits with only what is left of them; those with nothing left are dropped.

    A picture of which the base has distributions on disk need not be scored by it again.
    """
    scored = {visit.side for visit in visits if visit.scores and visit.side != BASE}
    left = []
    for visit in visits:
        answered = finished.answered.get((visit.round, visit.side), set())
        one = Visit(
            visit.round,
            visit.side,
            tuple(number for number in visit.answers if number not in answered),
            tuple(number for number in visit.scores if not _is_scored(number, visit.side, scored, finished)),
        )
        if one.num_pieces:
            left.append(one)
    return tuple(left)


def _is_scored(picture: int, side: SideName, scored: Collection[SideName], finished: Finished) -> bool:
    if side == BASE:
        return picture in finished.kept or finished.is_compared(picture, scored)
    return finished.is_compared(picture, (side,))
