"""Groups contents by their pairs: copies of one picture, then pictures that are similar. No database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace

from smallsight.library.alike.pairs import AlikePair

__all__ = ["Pairs", "copies", "represented", "similar"]

_MOST_CHECKED = 8  # members of a group whose words a new one is held against

Pairs = Mapping[tuple[int, int], AlikePair]


def copies(
    pairs: Pairs, apart: Container[tuple[int, int]], say_different: Callable[[int, int], bool]
) -> list[tuple[int, ...]]:
    """Return groups of contents that show the same picture, each content in at most one.

    ``pairs`` are those that are the same, ``apart`` those known to have other words. A content joins a group
    through one of its members, unless its words differ from those of another: two memes may both be copies of
    their bare template.
    """
    partners = _partners(pairs.keys())
    grouped: set[int] = set()
    groups = []
    for seed in sorted(partners):
        if seed in grouped:
            continue
        members = [seed]
        for member in members:  # grows meanwhile
            for other in sorted(partners[member]):
                if other in grouped or other in members:
                    continue
                if any(_key(one, other) in apart for one in members):
                    continue
                if pairs[_key(member, other)].is_upright and any(
                    _key(one, other) not in pairs and say_different(one, other)
                    for one in members[:_MOST_CHECKED]
                ):
                    continue
                members.append(other)
        grouped.update(members)
        if len(members) > 1:
            groups.append(tuple(sorted(members)))
    return groups


def represented(pairs: Iterable[AlikePair], copy_groups: Sequence[tuple[int, ...]]) -> Pairs:
    """Return pairs with one content, the first, in place of all in its group of copies."""
    shown_by = {member: group[0] for group in copy_groups for member in group}
    found: dict[tuple[int, int], AlikePair] = {}
    for pair in pairs:
        ends = (shown_by.get(one, one) for one in (pair.first_id, pair.second_id))
        first_id, second_id = key = _key(*ends)
        if first_id != second_id and key not in found:
            found[key] = replace(pair, first_id=first_id, second_id=second_id)
    return found


def similar(pairs: Pairs) -> list[tuple[int, ...]]:
    """Return groups of contents around the one with the lowest id, each content in at most one."""
    partners = _partners(pairs.keys())
    grouped: set[int] = set()
    groups = []
    for seed in sorted(partners):
        if seed in grouped:
            continue
        members = {seed} | (partners[seed] - grouped)
        grouped |= members
        if len(members) > 1:
            groups.append(tuple(sorted(members)))
    return groups


def _partners(keys: Iterable[tuple[int, int]]) -> dict[int, set[int]]:
    partners: dict[int, set[int]] = defaultdict(set)
    for one, other in keys:
        partners[one].add(other)
        partners[other].add(one)
    return partners


def _key(one: int, other: int) -> tuple[int, int]:
    return (one, other) if one < other else (other, one)
