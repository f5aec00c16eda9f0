"""Which of several variants no other one beats in both size and quality, and which is best for a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smallsight.catalog.entry import Verdict
from smallsight.validation.exploration import Exploration
from smallsight.validation.result import Interval

BUDGET_SHARES = (0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)  # of the base's weights


@dataclass(frozen=True, slots=True)
class Candidate:
    """One variant. Of two with the same quality, the one with the lower ``divergence`` (nats) is better."""

    name: str
    num_bytes: int
    quality: Interval
    divergence: float | None = None
    tokens_per_s: float | None = None
    verdict: Verdict = Verdict.NOT_MEASURED
    description: str = ""

    def is_better_than(self, other: Candidate) -> bool:
        """Return whether its answers are closer to the base's."""
        return _closeness(self) > _closeness(other)


@dataclass(frozen=True, slots=True)
class BudgetChoice:
    """The best variant that fits into a share of the base's size."""

    share: float
    budget_bytes: int
    best: Candidate


def candidates_of(exploration: Exploration) -> tuple[Candidate, ...]:
    """Return the schemes of an exploration as candidates, in its order."""
    return tuple(
        Candidate(
            one.name,
            one.weights_bytes,
            one.summary.quality,
            None if one.summary.kl_nats is None else one.summary.kl_nats.mean,
            None if one.tokens_per_s is None else one.tokens_per_s.median,
            one.judgement.verdict,
            one.description,
        )
        for one in exploration.schemes
    )


def pareto_front(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates than which none is both smaller, or as small, and better; the smallest first."""
    front: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (one.num_bytes, *(-part for part in _closeness(one)))):
        if not front or one.is_better_than(front[-1]):
            front.append(one)
    return tuple(front)


def best_for_budgets(candidates: Sequence[Candidate], base_bytes: int) -> tuple[BudgetChoice, ...]:
    """Return the best candidate for several shares of the base's size, none where all are too large.

    A budget whose best candidate fits into the next smaller one as well is left out too.
    """
    choices: list[BudgetChoice] = []
    for share in BUDGET_SHARES:
        best = best_within(candidates, int(share * base_bytes))
        if best is not None and (not choices or choices[-1].best != best):
            choices.append(BudgetChoice(share, int(share * base_bytes), best))
    return tuple(choices)


def best_within(candidates: Iterable[Candidate], budget_bytes: int) -> Candidate | None:
    """Return the best candidate of at most this size that may ship, None if there is none."""
    fitting = [one for one in candidates if one.num_bytes <= budget_bytes]
    front = pareto_front(one for one in fitting if one.verdict is not Verdict.DO_NOT_SHIP)
    return front[-1] if front else None


def _closeness(one: Candidate) -> tuple[float, float]:
    return one.quality.mean, -(one.divergence or 0.0)
