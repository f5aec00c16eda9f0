"""Which quantisation schemes an exploration tries for one model: those that store different weights."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from smallsight.families.family import Family
from smallsight.quant.exploring import SchemeToTry, explored_schemes
from smallsight.quant.scheme import SCHEMES, Module, Scheme

__all__ = ["candidate_schemes", "forms_text"]


def candidate_schemes(
    family: Family, base: Scheme, widths: Collection[int], predict: Callable[[Scheme], int]
) -> tuple[SchemeToTry, ...]:
    """Return the schemes to try, the largest first.

    A module that the family keeps in wider forms than a scheme asks for is left to the family. Schemes that
    store the weights of ``base``, or of another scheme, are left out; ``widths`` are the lengths of the rows
    of the model's matrices. ``predict`` returns the size of the weights in a scheme.
    """
    known = {_stored_weights(family.adapted(base), widths)}
    found = []
    for one in sorted(explored_schemes(predict), key=lambda one: len(str(one.scheme))):
        scheme = _left_to_family(one.scheme, family)
        stored = _stored_weights(family.adapted(scheme), widths)
        if stored not in known:
            known.add(stored)
            found.append(replace(one, scheme=scheme, num_bytes=predict(family.adapted(scheme))))
    return tuple(sorted(found, key=lambda one: (-one.num_bytes, one.name)))


def forms_text(scheme: Scheme) -> str:
    """Return which parts of a model have which form, for people."""
    parts: dict[str, list[str]] = {}
    for module in Module:
        parts.setdefault(scheme.modules[module], []).append(module)
    texts = [f"{', '.join(modules)}: {form}" for form, modules in parts.items()]
    if scheme.arithmetic != SCHEMES[scheme.name].arithmetic:
        texts.append(f"arithmetic: {scheme.arithmetic}")
    return "; ".join(texts)


def _left_to_family(scheme: Scheme, family: Family) -> Scheme:
    """Return the scheme without the choices that the family would not make."""
    unchosen = Scheme(scheme.name, scheme.modules, scheme.arithmetic)
    adapted = family.adapted(unchosen)
    kept = {module for module in scheme.chosen if adapted.modules[module] == scheme.modules[module]}
    usual = SCHEMES[scheme.name].modules
    forms = {module: scheme.modules[module] if module in kept else usual[module] for module in Module}
    return Scheme(scheme.name, forms, scheme.arithmetic, frozenset(kept))


def _stored_weights(scheme: Scheme, widths: Collection[int]) -> tuple[str, ...]:
    """Return everything that decides the stored weights and the arithmetic on them."""
    forms = ("|".join(sorted({scheme.modules[part].stored_as(width) for width in widths})) for part in Module)
    return scheme.arithmetic, *forms
