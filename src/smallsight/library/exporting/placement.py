"""Where sidecars belong: beside the pictures, or in the same tree of folders elsewhere."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.exporting.record import ExportedFile
from smallsight.library.schema import folder, picture

__all__ = ["CaptionNames", "Placement"]

_ROWS_AT_ONCE = 5_000


class Placement:
    """The folder for the sidecar of each file; ``out`` holds one folder for each folder of the library.

    Of folders of the library with the same name, all but the first in the list get a number.
    """

    def __init__(self, folders: Sequence[Path], out: Path | None) -> None:
        self._out = out
        self._names: dict[Path, str] = {}
        self._used: Counter[str] = Counter()
        for one in folders:
            self._name_of(one)

    @property
    def is_beside(self) -> bool:
        """Whether sidecars belong beside the pictures."""
        return self._out is None

    def folder_of(self, file: ExportedFile) -> Path:
        """Return the folder for a file's sidecar."""
        root = file.folder if self._out is None else self._out / self._name_of(file.folder)
        return (root / file.below).parent

    def _name_of(self, folder_path: Path) -> str:
        if folder_path not in self._names:
            name = folder_path.name or "root"
            self._used[name.casefold()] += 1
            number = self._used[name.casefold()]
            self._names[folder_path] = name if number == 1 else f"{name}-{number}"
        return self._names[folder_path]


class CaptionNames:
    """The names of caption files: ``photo.txt`` for ``photo.jpg``.

    Pictures of one folder that would share a name have ``photo.jpg.txt`` and ``photo.png.txt`` instead. That
    is decided over all pictures of the library, and without case, as some disks compare names.
    """

    def __init__(self, database: Database) -> None:
        stems: set[bytes] = set()
        names: set[bytes] = set()
        self._shared: set[bytes] = set()
        self._bare: set[bytes] = set()  # names without a suffix
        for file in _present_files(database):
            stem = _key(file, PurePosixPath(file.below).stem)
            (self._shared if stem in stems else stems).add(stem)
            if PurePosixPath(file.below).suffix:
                names.add(_key(file, PurePosixPath(file.below).name))
            else:
                self._bare.add(stem)
        self._shared |= stems & names

    def name_of(self, file: ExportedFile) -> str:
        """Return the name of a file's caption file."""
        below = PurePosixPath(file.below)
        return f"{below.name if self._is_shared(file) else below.stem}.txt"

    def former_name_of(self, file: ExportedFile) -> str | None:
        """Return the name it had while other pictures were there; None if another picture has it."""
        below = PurePosixPath(file.below)
        if not below.suffix:
            return None
        if not self._is_shared(file):
            return f"{below.name}.txt"
        return None if _key(file, below.stem) in self._bare else f"{below.stem}.txt"

    def _is_shared(self, file: ExportedFile) -> bool:
        return _key(file, PurePosixPath(file.below).stem) in self._shared


def _key(file: ExportedFile, name: str) -> bytes:
    place = f"{file.folder}\0{PurePosixPath(file.below).parent}\0{name}"
    folded = unicodedata.normalize("NFC", place).casefold()
    return hashlib.blake2b(folded.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _present_files(database: Database) -> Iterator[ExportedFile]:
    query = (
        sa.select(folder.c.path, picture.c.path.label("below"))
        .select_from(picture.join(folder))
        .where(picture.c.vanished_at_s.is_(None))
    )
    with database.reading() as connection:
        for row in connection.execute(query).yield_per(_ROWS_AT_ONCE):
            yield ExportedFile(Path(row.path), row.below)
