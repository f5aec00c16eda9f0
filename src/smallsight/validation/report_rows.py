"""The tables of a report as rows: base, variant, and by how much one differs from the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smallsight.validation.memory_explained import ModuleGroup, module_groups
from smallsight.validation.result import Interval, Memory, Side, Speed, Spread, Summary, ValidationResult
from smallsight.validation.shown_numbers import change, ends, nats, points, rate, seconds, share, size

_NONE = "\N{EM DASH}"
_VISIBLE_SHARE = 0.01  # smaller changes are not coloured


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One row. ``tone`` is "good", "bad" or empty; the notes are shown smaller, below the numbers."""

    label: str
    base: str
    variant: str
    change: str = ""
    tone: str = ""
    base_note: str = ""
    variant_note: str = ""
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One metric over all pictures, with the interval of its mean."""

    label: str
    value: str
    interval: str
    meaning: str


def memory_rows(base: Side, variant: Side) -> tuple[ComparedRow, ...]:
    """Return the rows of weights by module group and of the processes; none if neither was measured."""
    before, after = base.memory, variant.memory
    if before is None and after is None:
        return ()
    return (*_module_rows(before, after), *_total_rows(base, variant), *_process_rows(before, after))


def _module_rows(before: Memory | None, after: Memory | None) -> Iterator[ComparedRow]:
    base_groups = module_groups(() if before is None else before.modules)
    variant_groups = module_groups(() if after is None else after.modules)
    for module in dict.fromkeys((*base_groups, *variant_groups)):
        old, new = base_groups.get(module), variant_groups.get(module)
        yield _row(
            (old or new).name.capitalize(),  # type: ignore[union-attr]
            (None if old is None else old.num_bytes, None if new is None else new.num_bytes),
            size,
            ("" if old is None else _form(old), "" if new is None else _form(new)),
        )


def _form(group: ModuleGroup) -> str:
    """Name the form, with the bits per parameter where its name does not say them: scales count too."""
    is_whole = group.bits in {8.0, 16.0, 32.0}
    return group.form if is_whole else f"{group.form} \N{MIDDLE DOT} {group.bits:.1f} bits"


def _total_rows(base: Side, variant: Side) -> Iterator[ComparedRow]:
    before, after = base.memory, variant.memory
    stored = (
        None if before is None else before.weights_bytes,
        None if after is None else after.weights_bytes,
    )
    yield _row("All weights, stored", stored, size, is_total=True)
    predicted = (base.predicted_weights_bytes, variant.predicted_weights_bytes)
    if any(one is not None for one in predicted):
        yield _row("All weights, predicted", predicted, size)


def _process_rows(before: Memory | None, after: Memory | None) -> Iterator[ComparedRow]:
    fields = {
        "Process before loading": "before_bytes",
        "Peak while loading": "loading_peak_bytes",
        "Loaded": "loaded_bytes",
        "Loaded, private": "private_loaded_bytes",
        "Peak while answering": "peak_bytes",
        "Peak while answering, private": "private_peak_bytes",
    }
    for label, field in fields.items():
        yield _row(label, (getattr(before, field, None), getattr(after, field, None)), size)


def speed_rows(base: Speed | None, variant: Speed | None) -> tuple[ComparedRow, ...]:
    """Return the rows of medians, with lowest and highest as notes; none if neither was measured."""
    if base is None and variant is None:
        return ()
    kinds: list[tuple[str, str, Callable[[float], str], bool]] = [
        ("Load time", "load_s", seconds, False),
        ("Time to first token", "first_token_s", seconds, False),
        ("Tokens per second", "tokens_per_s", rate, True),
        ("Pictures per minute", "pictures_per_min", rate, True),
    ]
    rows = []
    for label, field, show, is_more_better in kinds:
        old, new = _measured(base, field), _measured(variant, field)
        medians = (None if old is None else old.median, None if new is None else new.median)
        rows.append(
            _row(label, medians, show, (_range(old, show), _range(new, show)), is_more_better=is_more_better)
        )
    return tuple(rows)


def _measured(speed: Speed | None, field: str) -> Spread | None:
    spread: Spread | None = getattr(speed, field, None)
    return spread


def _range(measured: Spread | None, show: Callable[[float], str]) -> str:
    return "" if measured is None or measured.num < 2 else ends(measured, show)


def quality_rows(summary: Summary) -> tuple[QualityRow, ...]:
    """Return the metrics that were computed."""
    kinds: list[tuple[str, Interval | None, Callable[[float], str], str]] = [
        ("Quality", summary.quality, share, "what the verdict averages"),
        ("Exact matches", summary.exact, share, "answers that are the same, word for word"),
        ("Agreement", summary.agreement, share, "tokens of the base's answer that both rank first"),
        ("KL divergence", summary.kl_nats, nats, "nats per token, over the whole vocabulary; 0 is identical"),
        ("Similarity", summary.similarity, share, "cosine of the answers' embeddings"),
        ("chrF", summary.chrf, points, "0 to 100, common character sequences"),
        ("BLEU", summary.bleu, points, "0 to 100, common word sequences"),
        ("Character error rate", summary.error_rate, share, "characters to correct, where text is read"),
        ("Box overlap", summary.box_overlap, share, "F1 of boxes with IoU of 0.5 or more"),
    ]
    return tuple(
        QualityRow(label, show(one.mean), ends(one, show), meaning)
        for label, one, show, meaning in kinds
        if one is not None
    )


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the few numbers shown large at the top."""

    label: str
    value: str
    note: str
    tone: str = ""


def key_numbers(result: ValidationResult) -> tuple[KeyNumber, ...]:
    """Return quality, memory and speed, those that were measured."""
    summary = result.summary
    numbers = [
        KeyNumber("Quality", share(summary.quality.mean), f"95 % interval {ends(summary.quality, share)}")
    ]
    base, variant = result.base, result.variant
    if base.memory is not None and variant.memory is not None:
        before, after = base.memory.weights_bytes, variant.memory.weights_bytes
        note = f"{size(before)} to {size(after)}"
        numbers.append(KeyNumber("Weights", change(before, after) or size(after), note, _tone(before, after)))
        peaks = base.memory.private_peak_bytes, variant.memory.private_peak_bytes
        note = f"{size(peaks[0])} to {size(peaks[1])}"
        numbers.append(KeyNumber("Peak memory", change(*peaks), note, _tone(*peaks)))
    if base.speed is not None and variant.speed is not None:
        old, new = base.speed.pictures_per_min.median, variant.speed.pictures_per_min.median
        note = f"{rate(old)} to {rate(new)} pictures per minute"
        numbers.append(KeyNumber("Speed", change(old, new), note, _tone(old, new, is_more_better=True)))
    return tuple(numbers)


def _row(
    label: str,
    numbers: tuple[float | None, float | None],
    show: Callable[[float], str],
    notes: tuple[str, str] = ("", ""),
    *,
    is_more_better: bool = False,
    is_total: bool = False,
) -> ComparedRow:
    base, variant = numbers
    changed = tone = ""
    if base is not None and variant is not None:
        changed = change(base, variant)
        tone = _tone(base, variant, is_more_better=is_more_better)
    before, after = (_NONE if one is None else show(one) for one in numbers)
    return ComparedRow(label, before, after, changed, tone, notes[0], notes[1], is_total)


def _tone(before: float, after: float, *, is_more_better: bool = False) -> str:
    if before <= 0 or abs(after - before) < _VISIBLE_SHARE * before:
        return ""
    return "good" if (after > before) is is_more_better else "bad"
