"""Memory and speed of one side, from what its measuring processes reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from smallsight.validation.measured_system import MeasuredSystem
from smallsight.validation.measuring_records import AnswerRecord, LoadedRecord
from smallsight.validation.result import Memory, Side, Speed, Spread
from smallsight.validation.run_folder import RunRecords
from smallsight.validation.visit_plan import SideName

__all__ = ["measure_side"]

_S_PER_MIN = 60


def measure_side(
    system: MeasuredSystem, name: SideName, records: RunRecords, timed: Sequence[int], num_rounds: int
) -> Side:
    """Return what was measured of one side; ``timed`` are the pictures that every round answers."""
    loaded = records.loaded[name]
    answers = [answer for (_, side, _), answer in records.answers.items() if side == name]
    rounds = [
        [
            records.answers[number, name, picture]
            for picture in timed
            if (number, name, picture) in records.answers
        ]
        for number in range(num_rounds)
    ]
    return Side(
        system=system.described(loaded[0].key if loaded else None),
        memory=_memory(loaded, answers),
        predicted_weights_bytes=system.predicted_weights_bytes(),
        speed=_speed(loaded, rounds),
    )


def _memory(loaded: Sequence[LoadedRecord], answers: Iterable[AnswerRecord]) -> Memory | None:
    """Return the medians of all processes before and after loading, and the peak over all answers."""
    whole = [one for one in loaded if not one.is_first_load and one.before_bytes is not None]
    peaks = [one for one in answers if one.peak_bytes is not None]
    if not whole or not peaks:
        return None
    return Memory(
        before_bytes=_middle(one.before_bytes for one in whole),
        loaded_bytes=_middle(one.loaded_bytes for one in whole),
        loading_peak_bytes=_middle(one.loading_peak_bytes for one in whole),
        peak_bytes=max(one.peak_bytes or 0 for one in peaks),
        private_loaded_bytes=_middle(one.private_loaded_bytes for one in whole),
        private_peak_bytes=max(one.private_peak_bytes or 0 for one in peaks),
        modules=whole[0].modules,
    )


def _speed(loaded: Sequence[LoadedRecord], rounds: Iterable[Sequence[AnswerRecord]]) -> Speed | None:
    answered = [[one for one in answers if not one.problem] for answers in rounds]
    flat = [one for answers in answered for one in answers]
    loads = [one.load_s for one in loaded if not one.is_first_load]
    if not flat or not loads:
        return None
    rates = [one.tokens_per_s for one in flat if one.tokens_per_s is not None]
    return Speed(
        load_s=_spread(loads),
        first_token_s=_spread([one.first_token_s for one in flat]),
        tokens_per_s=_spread(rates) if rates else None,
        pictures_per_min=_spread(
            [
                _S_PER_MIN * len(answers) / sum(one.total_s for one in answers)
                for answers in answered
                if answers
            ]
        ),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median=median(values), low=min(values), high=max(values), num=len(values))


def _middle(values: Iterable[int | None]) -> int:
    return int(median(value for value in values if value is not None))
