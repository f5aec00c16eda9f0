"""Makes a result of what was measured: scores of each pair of answers, means over them, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from smallsight.policy.gibberish import gibberish_reasons
from smallsight.settings import Settings
from smallsight.validation.judging import judge
from smallsight.validation.measured_machine import measured_machine
from smallsight.validation.measured_system import MeasuredSystem
from smallsight.validation.measuring_records import AnswerRecord
from smallsight.validation.measuring_run import RunOptions
from smallsight.validation.picture_set import PictureFile, PictureSet
from smallsight.validation.place_scores import place_f1
from smallsight.validation.result import PictureResult, TokenScores, ValidationResult
from smallsight.validation.run_folder import RunRecords
from smallsight.validation.side_measures import measure_side
from smallsight.validation.summary import picture_quality, summarize
from smallsight.validation.text_scores import score_texts
from smallsight.validation.visit_plan import BASE, MOST_TIMED, SideName, spread_evenly

__all__ = ["MeasuredRun", "TextMeasures", "assemble"]

_UNANSWERED = AnswerRecord(problem="It was not answered.")


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """Everything that one run asked and recorded, of the base and of any number of variants."""

    systems: Mapping[SideName, MeasuredSystem]
    pictures: PictureSet
    options: RunOptions
    records: RunRecords


@dataclass(frozen=True, slots=True)
class TextMeasures:
    """What a text model tells about answers.

    ``embed`` returns unit vectors, float32 [texts, dimensions]; ``is_word`` knows words in lower case.
    """

    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    is_word: Callable[[str], bool]


def assemble(
    measured: MeasuredRun, variant_name: SideName, settings: Settings, texts: TextMeasures | None
) -> ValidationResult:
    """Return the result of one variant; without a text model there is no similarity."""
    options, readable = measured.options, measured.pictures.readable
    timed = spread_evenly(len(readable), MOST_TIMED)
    base, variant = (
        measure_side(measured.systems[name], name, measured.records, timed, options.num_rounds)
        for name in (BASE, variant_name)
    )
    is_word = None if texts is None else texts.is_word
    similarities = _similarities(measured, variant_name, texts)
    pictures = [
        _picture(measured, variant_name, number, one, similarities.get(number), is_word)
        for number, one in enumerate(readable)
    ]
    pictures += [
        PictureResult(picture=one.name, sha256=one.sha256, question=options.question, problem=one.problem)
        for one in measured.pictures.unreadable
    ]
    summary = summarize(pictures)
    return ValidationResult(
        measured_at=datetime.now(UTC),
        machine=measured_machine(settings),
        picture_set=measured.pictures.digest(options.question),
        pictures_folder=str(measured.pictures.folder),
        question=options.question,
        max_tokens=options.max_tokens,
        num_rounds=options.num_rounds,
        base=base,
        variant=variant,
        pictures=tuple(pictures),
        summary=summary,
        judgement=judge(summary, settings.validation),
    )


def _picture(
    measured: MeasuredRun,
    variant_name: SideName,
    number: int,
    file: PictureFile,
    similarity: float | None,
    is_word: Callable[[str], bool] | None,
) -> PictureResult:
    base, variant = (
        measured.records.answers.get((0, name, number), _UNANSWERED) for name in (BASE, variant_name)
    )
    result = PictureResult(
        picture=file.name,
        sha256=file.sha256,
        question=measured.options.question,
        base_answer=base.text,
        variant_answer=variant.text,
        problem=base.problem or variant.problem,
    )
    if result.problem:
        return result
    reads_text = measured.systems[BASE].reads_text(measured.options.question)
    compared = measured.records.compared.get((variant_name, number))
    tokens: TokenScores | None = None if compared is None else compared.tokens
    text = score_texts(
        base.text,
        variant.text,
        similarity=similarity,
        reads_text=reads_text,
        box_overlap=place_f1(base.data, variant.data),
    )
    return result.model_copy(
        update={
            "text": text,
            "tokens": tokens,
            "quality": picture_quality(text, tokens),
            "gibberish": _gibberish(variant, is_word, reads_text=reads_text),
            "base_gibberish": _gibberish(base, is_word, reads_text=reads_text),
        }
    )


def _gibberish(
    answer: AnswerRecord, is_word: Callable[[str], bool] | None, *, reads_text: bool
) -> tuple[str, ...]:
    return gibberish_reasons(
        answer.text, finish_reason=answer.finish_reason, reads_text=reads_text, is_word=is_word
    )


def _similarities(
    measured: MeasuredRun, variant_name: SideName, texts: TextMeasures | None
) -> dict[int, float]:
    """Return the cosines of the embeddings of both answers, by picture; nothing for an empty answer."""
    if texts is None:
        return {}

    def text_of(name: SideName, number: int) -> str:
        return measured.records.answers.get((0, name, number), _UNANSWERED).text.strip()

    numbers = range(len(measured.pictures.readable))
    pairs = {number: (text_of(BASE, number), text_of(variant_name, number)) for number in numbers}
    same = {number: 1.0 for number, (base, variant) in pairs.items() if base and base == variant}
    other = {number: both for number, both in pairs.items() if all(both) and number not in same}
    if not other:
        return same
    answers = sorted({answer for both in other.values() for answer in both})
    vectors = dict(zip(answers, texts.embed(answers), strict=True))
    return same | {
        number: float(vectors[base] @ vectors[variant]) for number, (base, variant) in other.items()
    }
