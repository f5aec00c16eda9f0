"""The parts of a folder that a scan is limited to: files and folders below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

_MAX_CONDITIONS = 100


def _folders_above(path: str) -> Iterator[str]:
    """Yield the folders above a path, the nearest first and "" last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


class ScanParts:
    """Paths relative to a folder, with "/" between their parts; the path "" is the whole folder.

    A part that is a file stands for this file. A part that is a folder, or no longer exists, stands for
    everything at and below its path.
    """

    def __init__(self, paths: Iterable[str] = ("",)) -> None:
        self._paths = frozenset(paths)
        self._leading = frozenset(above for path in self._paths for above in _folders_above(path))

    @property
    def is_whole(self) -> bool:
        """Whether the whole folder is meant."""
        return "" in self._paths

    def contains(self, path: str) -> bool:
        """Return whether a path is one of the parts, or below one."""
        return (
            self.is_whole
            or path in self._paths
            or any(above in self._paths for above in _folders_above(path))
        )

    def leads_to(self, folder: str) -> bool:
        """Return whether a part is below the folder, which is not part of one itself."""
        return folder in self._leading and not self.contains(folder)

    def names_in(self, folder: str) -> list[str]:
        """Return the names of the parts that are directly in the folder."""
        start = f"{folder}/" if folder else ""
        return [
            path[len(start) :]
            for path in self._paths
            if path.startswith(start) and path and "/" not in path[len(start) :]
        ]

    def with_paths(self, paths: Iterable[str]) -> ScanParts:
        """Return these parts and more."""
        return ScanParts(self._paths.union(paths))

    def condition(self, column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return an SQL condition that holds for every path in the parts, and may hold for others."""
        if self.is_whole or len(self._paths) > _MAX_CONDITIONS:
            return sa.true()
        below = [
            (column >= f"{path}/") & (column < f"{path}0") for path in sorted(self._paths)
        ]  # "0" follows "/"
        return sa.or_(column.in_(self._paths), *below)


WHOLE = ScanParts()
