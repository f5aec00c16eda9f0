"""Pictures and videos below a folder, or one file."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from smallsight.captioning.source_picture import SourcePicture, WantsKey, shown_name
from smallsight.errors import SmallsightError
from smallsight.library.described_files import WantedFile, list_wanted, read_wanted
from smallsight.settings import Settings

__all__ = ["FolderSource"]


class FolderSource:
    """A ``DataSource``; which files count as pictures is as in an index run."""

    size_bytes = 0

    def __init__(self, path: Path, name: str, settings: Settings) -> None:
        """Raise the error of a file that is not there, or of a folder without pictures."""
        self.name = name
        self.fraction_read = 0.0
        self._root = path if path.is_dir() else path.parent
        self._limits = settings.limits
        self._files = list_wanted([path], settings)
        first = self._files[0]
        if first.error is not None and first.path == path:
            raise first.error
        if not path.is_dir():
            read_wanted(first, self._limits)

    def count(self, wants: WantsKey) -> int:
        """Return how many of the listed files are wanted."""
        return sum(wants(self._key(file)) for file in self._files)

    def pictures(self, wants: WantsKey) -> Generator[SourcePicture, None, None]:
        """Yield the files sorted by folder and name."""
        for number, file in enumerate(self._files, start=1):
            self.fraction_read = number / len(self._files)
            key = self._key(file)
            if not wants(key):
                continue
            data: bytes | SmallsightError
            try:
                data = read_wanted(file, self._limits).data
            except SmallsightError as error:
                data = error
            yield SourcePicture(self.name, key, shown_name(file.path.name), data)

    def _key(self, file: WantedFile) -> str:
        """Return the path below the folder, with "/" between its parts."""
        return shown_name(file.path.relative_to(self._root).as_posix())
