"""Explains memory in sentences: predicted and stored weights, kept precision, and what the runtime adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from smallsight.validation.result import Memory, ModuleBytes, Side
from smallsight.validation.shown_numbers import change, share, size

_NAMES = {
    "vision": "vision tower",
    "connector": "connector",
    "text": "text blocks",
    "head": "output head",
    "embeddings": "embeddings",
    "other": "other",
}
_SAME_SHARE = 0.0005


@dataclass(frozen=True, slots=True)
class ModuleGroup:
    """The weights of one module group in all its forms; ``form`` names them, the largest first."""

    module: str
    form: str
    num_parameters: int
    num_bytes: int

    @property
    def name(self) -> str:
        """The words for it."""
        return _NAMES.get(self.module, self.module)

    @property
    def bits(self) -> float:
        """Bits per parameter, scales included."""
        return 8 * self.num_bytes / self.num_parameters if self.num_parameters else 0.0


def module_groups(modules: Iterable[ModuleBytes]) -> Mapping[str, ModuleGroup]:
    """Return the stored weights by module group, in the order in which a picture passes through them."""
    by_module: dict[str, list[ModuleBytes]] = defaultdict(list)
    for one in modules:
        by_module[one.module].append(one)
    order = {name: index for index, name in enumerate(_NAMES)}
    return {
        module: ModuleGroup(
            module,
            ", ".join(dict.fromkeys(one.form for one in sorted(parts, key=lambda one: -one.num_bytes))),
            sum(one.num_parameters for one in parts),
            sum(one.num_bytes for one in parts),
        )
        for module, parts in sorted(by_module.items(), key=lambda item: order.get(item[0], len(order)))
    }


def explain_memory(base: Side, variant: Side) -> tuple[str, ...]:
    """Return what explains the difference between what arithmetic predicts and what a process takes."""
    return (*_compared(base, variant), *_prediction(variant), *_runtime(variant))


def _compared(base: Side, variant: Side) -> Iterator[str]:
    if base.memory is None or variant.memory is None:
        return
    before, after = base.memory.weights_bytes, variant.memory.weights_bytes
    kept = _kept(base.memory, variant.memory)
    if before == after or not kept:
        return
    kept_bytes = sum(one.num_bytes for one in kept)
    names = ", ".join(f"{one.name} ({size(one.num_bytes)} in {one.form})" for one in kept)
    yield (
        f"Stored as in the base: {names}. That is {share(kept_bytes / after)} of the variant's weights; "
        f"the rest changes by {change(before - kept_bytes, after - kept_bytes)}, all of them together by "
        f"{change(before, after)}."
    )


def _kept(base: Memory, variant: Memory) -> list[ModuleGroup]:
    """Return the module groups that have the same form in both."""
    before = module_groups(base.modules)
    return [
        one
        for name, one in module_groups(variant.modules).items()
        if name in before and before[name].form == one.form and one.num_bytes
    ]


def _prediction(side: Side) -> Iterator[str]:
    if side.memory is None or not side.predicted_weights_bytes:
        return
    stored, predicted = side.memory.weights_bytes, side.predicted_weights_bytes
    if abs(stored - predicted) <= _SAME_SHARE * predicted:
        yield f"Arithmetic on the tensor shapes predicts the same {size(predicted)} of weights."
        return
    forms: dict[str, int] = defaultdict(int)
    for one in side.memory.modules:
        forms[one.form] += one.num_bytes
    listed = ", ".join(
        f"{size(num_bytes)} in {form}" for form, num_bytes in sorted(forms.items(), key=lambda one: -one[1])
    )
    yield (
        f"Arithmetic on the tensor shapes predicts {size(predicted)} of weights, {size(stored)} are stored "
        f"({change(predicted, stored)}), their scales included: {listed}."
    )


def _runtime(side: Side) -> Iterator[str]:
    memory = side.memory
    if memory is None:
        return
    grown = memory.loaded_bytes - memory.before_bytes
    rest = grown - memory.weights_bytes
    if rest >= 0:
        yield (
            f"Loading the variant adds {size(grown)} to the process: "
            f"{size(memory.weights_bytes)} are weights, "
            f"{size(rest)} are the runtime with its compiled networks, libraries and tokenizer."
        )
    else:
        yield (
            f"Loading the variant adds {size(grown)} to the process, less than its weights of "
            f"{size(memory.weights_bytes)}: weights in mapped files become resident when they are first used."
        )
    yield f"While it answers, it takes up to {size(memory.peak_bytes - memory.loaded_bytes)} more."
