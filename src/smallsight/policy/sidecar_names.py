"""Decides by their names which files in a folder hold words about which pictures in it.

XMP sidecars are ``photo.jpg.xmp`` or ``photo.xmp``. Google Takeout writes ``photo.jpg.json`` or
``photo.jpg.supplemental-metadata.json``, cut to 46 characters before ``.json``; the number of
``photo(1).jpg`` goes to the end, and ``photo-edited.jpg`` shares the file of ``photo.jpg``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import takewhile

__all__ = ["is_sidecar_name", "match_sidecars"]

_XMP, _JSON = ".xmp", ".json"
_SUPPLEMENT = ".supplemental-metadata"
_LEAST_CUT_BYTES = 40  # a shorter name was not cut
_NUMBER = re.compile(r"\(\d{1,5}\)$")
_EDITED = re.compile(
    r"-(?:edited|effects|bearbeitet|modifié|editado|edytowane|modificato|bewerkt|redigerad|redigeret|redigert"
    r"|muokattu|upraveno|düzenlendi|изменено|編集済み|편집됨|已修改|已編輯)(?=(?:\(\d{1,5}\))?$)"
)


def is_sidecar_name(name: str) -> bool:
    """Return whether a file may be a sidecar."""
    return name.lower().endswith((_XMP, _JSON))


def match_sidecars(pictures: Sequence[str], others: Sequence[str]) -> dict[str, list[str]]:
    """Return the sidecars among ``others`` by picture, the most specific first; all in one folder."""
    found: dict[str, list[str]] = defaultdict(list)
    xmp = [name for name in others if name.lower().endswith(_XMP)]
    for key in (str.casefold, lambda name: _stem(name).casefold()):
        by_key = _by_key(pictures, key)
        for name in xmp:
            for picture in by_key.get(name[: -len(_XMP)].casefold(), ()):
                if name not in found[picture]:
                    found[picture].append(name)
    takeout = _Takeout(pictures)
    for name in others:
        if name.lower().endswith(_JSON):
            for picture in takeout.pictures_of(name[: -len(_JSON)]):
                found[picture].append(name)
    return {picture: names for picture, names in found.items() if names}


class _Takeout:
    """The pictures of a folder by the names that Takeout's JSON files may have."""

    def __init__(self, pictures: Sequence[str]) -> None:
        self._pictures: dict[tuple[str, str], list[str]] = defaultdict(list)  # by original name and number
        for picture in pictures:
            stem, suffix = _stem(picture), picture[len(_stem(picture)) :]
            for one in dict.fromkeys((stem, _EDITED.sub("", stem))):
                number = "".join(_NUMBER.findall(one))
                keys = ((f"{one}{suffix}", ""), (f"{_NUMBER.sub('', one)}{suffix}", number))
                for key in dict.fromkeys(keys):
                    self._pictures[key].append(picture)
        self._names = sorted({name for name, _ in self._pictures})

    def pictures_of(self, base: str) -> Sequence[str]:
        """Return the pictures of a JSON file, whose name is given without its ending."""
        number = "".join(_NUMBER.findall(base))
        name = _NUMBER.sub("", base)
        for length in range(len(_SUPPLEMENT), -1, -1):
            if name.endswith(_SUPPLEMENT[:length]):
                key = (name[: len(name) - length], number)
                if key in self._pictures:
                    return self._pictures[key]
        if len(name.encode()) < _LEAST_CUT_BYTES:
            return ()
        longer = takewhile(lambda one: one.startswith(name), self._names[bisect_left(self._names, name) :])
        keys = [(one, number) for one in longer if (one, number) in self._pictures]
        return self._pictures[keys[0]] if len(keys) == 1 else ()


def _by_key(pictures: Sequence[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    by_key: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        by_key[key(picture)].append(picture)
    return by_key


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]
