"""Writes the tables of models: what each is, needs and does, and which one is for which machine.

The catalogue says what can be computed; ``docs/measured_models.json`` has what `smallsight validate` has
measured. ``python docs/write_models_table.py`` writes the tables; with ``--collect`` it first takes over the
newest results from ``benchmarks/results/validation``. Results in ``random_weights`` below that folder are of
random checkpoints in the true shapes: their memory and speed count, their answers do not. ``--check`` only
compares, and exits with 1 when a table is out of date.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Entry, Modality, Precision, Verdict
from smallsight.inventory.footprint import parameter_count, running_bytes, weights_bytes
from smallsight.validation.comparing_results import read_result
from smallsight.validation.result import Side, ValidationResult

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "docs" / "measured_models.json"
RESULTS = ROOT / "benchmarks" / "results" / "validation"
_GIB, _MIB = 1024**3, 1024**2
_COMFORTABLE_SHARE = 0.7  # of the memory; the rest is for the system and other programs
_MACHINES = (
    (2, "NAS, small board"),
    (4, "NAS, old laptop"),
    (8, "mini-PC, laptop"),
    (16, "laptop, desktop"),
)
_WIDTH = 118
_ABOUT_ALL = (
    "Parameters, download and weights are computed from the shapes of the networks; memory of the whole "
    "process and speed are measured where there is a number."
)
_ABOUT_CHOICE = (
    f"The largest model that needs at most {100 * _COMFORTABLE_SHARE:.0f} % of the memory, so that the "
    "system and other programs keep the rest; an int8 or int4 variant where its base does not fit, or "
    "where it was measured to be stable. In brackets what it needs while it answers, *measured*, or "
    "computed for a processor without bf16 instructions, with an allowance of 512 MiB for the program. One "
    "with them needs a quarter of the weights for a model in 16 bits; `smallsight models` computes for "
    "yours. With or without a GPU the choice is the same: the default engine does not use one. The number of "
    "processor cores decides how long an answer takes, not which model runs."
)
PURPOSES: tuple[tuple[str, Callable[[Entry], bool]], ...] = (
    (
        "questions about pictures",
        lambda one: one.family == "smolvlm" and Modality.VIDEO not in one.modalities,
    ),
    ("captions, answers, places", lambda one: one.family == "moondream2"),
    ("text and boxes, by task", lambda one: one.family == "florence2"),
    ("video", lambda one: Modality.VIDEO in one.modalities),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model in one precision on one machine. ``quality`` is None for a base and for random weights."""

    model: str
    precision: str
    processor: str
    num_threads: int
    measured_on: str  # date
    version: str
    has_random_weights: bool
    loaded_bytes: int
    peak_bytes: int
    tokens_per_s: float | None
    pictures_per_min: float | None
    verdict: str | None = None
    is_decided: bool = True
    quality: float | None = None
    num_pictures: int = 0

    @property
    def machine(self) -> str:
        """The machine as the tables name it."""
        return f"{self.processor}, {self.num_threads} thread{'s' * (self.num_threads != 1)}"


def measurements_of(result: ValidationResult, *, has_random_weights: bool) -> Iterator[Measurement]:
    """Yield what a result says about the two systems, of those whose memory could be measured."""
    for side in (result.base, result.variant):
        is_variant = side is result.variant
        found = _measurement(result, side, has_random_weights=has_random_weights, is_variant=is_variant)
        if found is not None:
            yield found


def _measurement(
    result: ValidationResult, side: Side, *, has_random_weights: bool, is_variant: bool
) -> Measurement | None:
    system, memory, speed = side.system, side.memory, side.speed
    if memory is None or system.precision is None:
        return None
    entry = _entry_named(system.name, system.precision)
    if entry is None:
        return None
    judged = is_variant and not has_random_weights
    tokens = None if speed is None or speed.tokens_per_s is None else speed.tokens_per_s.median
    return Measurement(
        model=entry.name,
        precision=system.precision,
        processor=result.machine.processor,
        num_threads=result.machine.num_threads,
        measured_on=result.measured_at.date().isoformat(),
        version=system.version or "",
        has_random_weights=has_random_weights,
        loaded_bytes=memory.loaded_bytes,
        peak_bytes=memory.peak_bytes,
        tokens_per_s=tokens,
        pictures_per_min=None if speed is None else speed.pictures_per_min.median,
        verdict=result.judgement.verdict.value if judged else None,
        is_decided=result.judgement.is_decided if judged else True,
        quality=result.summary.quality.mean if judged else None,
        num_pictures=result.summary.num_pictures if judged else 0,
    )


def _entry_named(name: str, precision: str) -> Entry | None:
    """Return the entry that the tables show a measurement under: the variant, or the base in a precision."""
    catalog = load_catalog()
    entry = catalog.get(name) or catalog.get(name.removesuffix(f"-{precision}"))
    if entry is None:
        return None
    base = catalog.base_of(entry)
    variants = [one for one in catalog.entries if one.base == base.name and one.precision == precision]
    return variants[0] if variants else base


def read_measurements(path: Path = MEASURED) -> tuple[Measurement, ...]:
    """Return the stored measurements; none without the file."""
    if not path.is_file():
        return ()
    return tuple(Measurement(**one) for one in json.loads(path.read_text(encoding="utf-8")))


def merged(old: Iterable[Measurement], new: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Return the newest measurement of each form on each machine; a judged one is kept for its verdict."""
    kept: dict[tuple[str, str, str], Measurement] = {}
    for one in sorted((*old, *new), key=lambda one: (one.measured_on, one.quality is not None)):
        key = one.model, one.precision, one.machine
        before = kept.get(key)
        if before is None or before.quality is None or one.quality is not None:
            kept[key] = one
    return tuple(kept[key] for key in sorted(kept))


def collect(results: Path = RESULTS, path: Path = MEASURED) -> None:
    """Take over the measurements of all results below a folder."""
    found: list[Measurement] = []
    for folder, is_random in ((results, False), (results / "random_weights", True)):
        for file in sorted(folder.glob("*.json")):
            found += measurements_of(read_result(file), has_random_weights=is_random)
    rows = [asdict(one) for one in merged(read_measurements(path), found)]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Form:
    """A model in one precision, with what was measured of it."""

    entry: Entry
    precision: Precision
    measured: tuple[Measurement, ...]

    @property
    def name(self) -> str:
        """Its name, with the precision where the name alone loads another one."""
        usual = self.precision is self.entry.precision
        return f"`{self.entry.name}`" if usual else f"`{self.entry.name}` in {self.precision.value}"

    @property
    def needed_bytes(self) -> int:
        """Return the largest measured peak, else what is computed for answering."""
        peaks = [one.peak_bytes for one in self.measured]
        return max(peaks) if peaks else running_bytes(self.entry, self.precision, has_bf16=False)

    @property
    def verdict(self) -> Verdict:
        """The newest verdict about it, else the catalogue's."""
        judged = [(one.measured_on, one.verdict) for one in self.measured if one.verdict is not None]
        if judged:
            return Verdict(max(judged)[1])
        return self.entry.verdict if self.precision is self.entry.precision else Verdict.NOT_MEASURED


def forms(measured: Iterable[Measurement]) -> tuple[Form, ...]:
    """Return every entry in its default precision, and in others that were measured."""
    known = tuple(measured)
    found = []
    for entry in load_catalog().entries:
        if entry.precision is None:
            continue
        others = {one.precision for one in known if one.model == entry.name} - {entry.precision.value}
        for precision in (entry.precision, *(one for one in Precision if one.value in others)):
            own = tuple(one for one in known if (one.model, one.precision) == (entry.name, precision.value))
            found.append(Form(entry, precision, own))
    return tuple(found)


def models_table(measured: tuple[Measurement, ...]) -> str:
    """Return the table of all models and variants, with a legend of the machines."""
    machines = list(dict.fromkeys(one.machine for one in measured))
    titles = "model, parameters, licence, download, weights, loaded, peak of an answer, speed, verdict"
    lines = ["| " + " | ".join(titles.split(", ")) + " |", "|---|---|---|---|---|---|---|---|---|"]
    lines += [_row(form, machines) for form in forms(measured)]
    legend = _ABOUT_ALL
    if any(one.has_random_weights for one in measured):
        legend += " \\* With random weights in the true shape."
    if machines:
        named = "; ".join(f"{_letter(index)}: {machine}" for index, machine in enumerate(machines))
        legend += f" Measured on {named}."
    return "\n".join([*lines, "", textwrap.fill(legend, _WIDTH)])


def _row(form: Form, machines: list[str]) -> str:
    entry = form.entry
    parameters = parameter_count(entry) or 0
    stored = entry.checkpoint_precision
    size = "inside" if entry.repository is None or stored is None else _file(weights_bytes(entry, stored))
    cells = [
        form.name,
        f"{parameters / 1e6:,.0f} M" if parameters < 1e9 else f"{parameters / 1e9:.2f} B",
        f"[{entry.licence.spdx}]({entry.licence.url})",
        size,
        _memory(weights_bytes(entry, form.precision)),
        _measured(form, lambda one: _memory(one.loaded_bytes)),
        _measured(form, lambda one: _memory(one.peak_bytes)),
        _speed(form, machines),
        _verdict(form),
    ]
    return "| " + " | ".join(cells) + " |"


def _measured(form: Form, show: Callable[[Measurement], str]) -> str:
    shown = [show(one) + "\\*" * one.has_random_weights for one in form.measured]
    return " / ".join(dict.fromkeys(shown))


def _speed(form: Form, machines: list[str]) -> str:
    shown = []
    for one in form.measured:
        parts = [] if one.pictures_per_min is None else [f"{one.pictures_per_min:.3g} pictures/min"]
        parts += [] if one.tokens_per_s is None else [f"{one.tokens_per_s:.0f} tokens/s"]
        if parts:
            where = f" ({_letter(machines.index(one.machine))})"
            shown.append(", ".join(parts) + "\\*" * one.has_random_weights + where)
    return "<br>".join(shown)


def _verdict(form: Form) -> str:
    judged = [one for one in form.measured if one.quality is not None]
    if not judged:
        is_base = form.entry.base is None and form.precision is form.entry.precision
        return "base" if is_base and form.verdict is Verdict.NOT_MEASURED else form.verdict.value
    newest = max(judged, key=lambda one: one.measured_on)
    quality = int(1000 * (newest.quality or 0) + 1e-9) / 10
    doubt = "" if newest.is_decided else ", too few to decide"
    return f"{form.verdict.value}: {quality:g} % on {newest.num_pictures} pictures{doubt}"


def which_table(measured: tuple[Measurement, ...]) -> str:
    """Return the recommendation for machines with little to much memory."""
    purposes = [name for name, _ in PURPOSES]
    lines = [f"| memory | such as | {' | '.join(purposes)} |", "|---|---|" + "---|" * len(purposes)]
    known = forms(measured)
    for gib, machine in _MACHINES:
        picks = [best_for(known, suits, gib * _GIB) for _, suits in PURPOSES]
        cells = [_pick(one) for one in picks]
        lines.append(f"| {gib} GiB | {machine} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", textwrap.fill(_ABOUT_CHOICE, _WIDTH)])


def best_for(known: Iterable[Form], suits: Callable[[Entry], bool], memory_bytes: int) -> Form | None:
    """Return the form to take on a machine, None if none fits; one that must not ship is never it."""
    limit = int(_COMFORTABLE_SHARE * memory_bytes)
    fitting = [
        one
        for one in known
        if suits(one.entry) and one.needed_bytes <= limit and one.verdict is not Verdict.DO_NOT_SHIP
    ]

    def rank(one: Form) -> tuple[int, bool, int]:
        is_stable = one.verdict is Verdict.STABLE
        return parameter_count(one.entry) or 0, is_stable, weights_bytes(one.entry, one.precision)

    return max(fitting, key=rank, default=None)


def _pick(form: Form | None) -> str:
    if form is None:
        return "none fits"
    size = _memory(form.needed_bytes)
    return f"{form.name} ({f'*{size}*' if form.measured else size})"


def _memory(num_bytes: int) -> str:
    return f"{num_bytes / _MIB:,.0f} MiB" if num_bytes < _GIB else f"{num_bytes / _GIB:.1f} GiB"


def _file(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"


def _letter(index: int) -> str:
    return chr(ord("A") + index)


PARTS: tuple[tuple[str, str, Callable[[tuple[Measurement, ...]], str]], ...] = (
    ("README.md", "which model", which_table),
    ("README.md", "models table", models_table),
)


def outdated(*, repair: bool) -> list[str]:
    """Return the names of the tables that differ from their sources, and rewrite them if asked."""
    measured, found = read_measurements(), []
    for document, name, write in PARTS:
        path = ROOT / document
        text = path.read_text(encoding="utf-8")
        begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end {name} -->"
        before, opened, rest = text.partition(begin)
        inside, closed, after = rest.partition(end)
        if not (opened and closed):
            raise SystemExit(f"{document} lacks the comments around {name!r}.")
        if inside != (written := write(measured)):
            found.append(name)
            if repair:
                path.write_text(before + begin + written + end + after, encoding="utf-8")
    return found


def main(arguments: list[str]) -> int:
    """Collect, write or check; return the exit code."""
    if "--collect" in arguments:
        collect()
    is_check = "--check" in arguments
    found = outdated(repair=not is_check)
    for name in found:
        sys.stdout.write(f"{'out of date' if is_check else 'written'}: {name}\n")
    return 1 if is_check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
