"""The schemes that `smallsight validate --explore` tries, each with a name and its predicted size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from smallsight.quant.forms import Storage
from smallsight.quant.scheme import Module, Scheme, parse_scheme

_LAYERS = (Module.VISION, Module.CONNECTOR, Module.TEXT)


@dataclass(frozen=True)
class SchemeToTry:
    """A scheme to try; ``num_bytes`` is the predicted size of the weights.

    ``note`` says what the scheme cannot show on this engine, if anything.
    """

    name: str
    scheme: Scheme
    num_bytes: int
    note: str = ""


def explored_schemes(predict: Callable[[Scheme], int]) -> tuple[SchemeToTry, ...]:
    """Return the schemes to try, the largest first; ``predict`` returns the size of the weights in one.

    Those that store the same weights as an earlier one are left out.
    """
    found: dict[tuple[str, ...], SchemeToTry] = {}
    for name, text in _texts().items():
        scheme = parse_scheme(text)
        key = (scheme.arithmetic, *(scheme.modules[module] for module in Module))
        found.setdefault(key, SchemeToTry(name, scheme, predict(scheme), _note(scheme)))
    return tuple(sorted(found.values(), key=lambda one: -one.num_bytes))


def _texts() -> Mapping[str, str]:
    """Return schemes as texts, by name."""
    searched = Storage.INT4_SEARCHED
    return {
        "int8": "int8",
        "int8-f32": "int8; arithmetic=f32",
        "int8-rows": _in_layers("int8", Storage.INT8_ROWS),
        "int4": "int4",
        "int4-f32": "int4; arithmetic=f32",
        **{form: _in_layers("int4", form) for form in Storage if form.bits == 4},
        "int4-text": f"int8; text={searched}",
        "int4-text-32": f"int8; text={Storage.INT4_NARROW_SEARCHED}",
        "int4-vision": f"int8; vision={searched}; connector={searched}",
        "int4-head": f"{_in_layers('int4', searched)}; head={searched}",
    }


def _in_layers(precision: str, form: Storage) -> str:
    """Return the text of a scheme with one form for all modules but the head."""
    return "; ".join([precision, *(f"{module}={form}" for module in _LAYERS)])


def _note(scheme: Scheme) -> str:
    if any(form.has_double_scales for form in scheme.modules.values()):
        return "Scales are rounded to 8 bits, but this engine holds them in 16."
    return ""
