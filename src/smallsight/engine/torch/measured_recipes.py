"""Says at loading what was measured of a recipe: a quantised model may be slower or larger than its base.

``measured_recipes.json`` has what ``benchmarks/torch_recipes.py`` measured; the lab log has the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from smallsight.engine.torch.device import Device
from smallsight.engine.torch.recipes import Recipe
from smallsight.policy.log import get_logger
from smallsight.quant.scheme import Scheme

log = get_logger(__name__)

BASE = "bf16"
_WORTH_SAYING = 1.02  # times the base; less is noise
_HERE, _OTHER = "torch", "openvino"
_SECONDS, _MIB = "answer_s", "weights_mib"
_Ways = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class MeasuredRecipes:
    """One model measured in one run on one machine: seconds of an answer, and MiB, by way."""

    model: str
    family: str
    device: str
    processor: str
    measured_on: str
    versions: Mapping[str, str]
    ways: _Ways

    def warning(self, precision: str) -> str | None:
        """Return a sentence if this precision was slower or larger than bf16 in this engine, else None."""
        own, base = (self.ways.get(f"{_HERE} {one}", {}) for one in (precision, BASE))
        found = []
        if _is_worse(own, base, _SECONDS):
            ratio, times = own[_SECONDS] / base[_SECONDS], f"{own[_SECONDS]:.2f} and {base[_SECONDS]:.2f} s"
            found.append(f"took {ratio:.2f} times as long as {BASE} for an answer ({times})")
        if _is_worse(own, base, _MIB):
            ratio, sizes = own[_MIB] / base[_MIB], f"{own[_MIB]:,.0f} and {base[_MIB]:,.0f} MiB"
            found.append(f"had weights {ratio:.2f} times as large as those in {BASE} ({sizes})")
        if not found:
            return None
        where = f"{self.model} on a {self.device.upper()}, {self.processor}, {self.measured_on}"
        sentence = f"In the torch engine {precision} {' and '.join(found)}; measured with {where}."
        other = self.ways.get(f"{_OTHER} {precision}", {}).get(_SECONDS)
        if other is not None and other < own[_SECONDS]:
            sentence += f" The OpenVINO engine took {other:.2f} s in {precision}."
        return sentence


def _is_worse(own: Mapping[str, float], base: Mapping[str, float], what: str) -> bool:
    return what in own and what in base and own[what] > _WORTH_SAYING * base[what]


@cache
def measured_recipes() -> tuple[MeasuredRecipes, ...]:
    """Return everything that was measured."""
    text = files(__package__).joinpath("measured_recipes.json").read_text(encoding="utf-8")
    return tuple(MeasuredRecipes(**one) for one in json.loads(text))


def measured_warning(family: str, precision: str, device_kind: str) -> str | None:
    """Return the warning of the first measurement of this family on such a device, or None."""
    measured = (one for one in measured_recipes() if (one.family, one.device) == (family, device_kind))
    return next((sentence for one in measured if (sentence := one.warning(precision)) is not None), None)


def report_choice(family: str, scheme: Scheme, device: Device, recipe: Recipe) -> None:
    """Log which device was chosen and why, and what was measured if that speaks against the recipe."""
    log.info("torch_device", device=device.name, reason=device.reason, linears=recipe.linears.value)
    if recipe.is_quantised and (sentence := measured_warning(family, scheme.name, device.kind)) is not None:
        log.warning("torch_recipe_measured", why=sentence)
