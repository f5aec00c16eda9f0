"""Decides what each named path is: pictures, tar files, tables or a data set; and estimates their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smallsight.captioning.dataset_folder import is_dataset_folder, list_dataset_files
from smallsight.captioning.folder_source import FolderSource
from smallsight.captioning.shard import Shard
from smallsight.captioning.source_picture import DataSource, SourcePicture, shown_name
from smallsight.captioning.table_process import require_table_reader
from smallsight.captioning.table_source import TableSource
from smallsight.captioning.tar_source import TarSource
from smallsight.errors import ArgumentError
from smallsight.media.file_kinds import FileKind, kind_of_name
from smallsight.settings import Settings

__all__ = ["LeftOut", "PictureSources", "TableOptions"]

_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_TARS = (".tar", *_PACKED)  # those in Zstandard are refused with a reason
_TABLES = (".parquet", ".arrow")
_KINDS = {"tar file": _TARS, "table": _TABLES}
_PICTURES = "picture"


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How tables are read: the column of the pictures, and the folder that paths in them are below."""

    column: str | None = None
    pictures_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files in a folder of which others are read: ``num`` of one kind beside those of the kind ``taken``."""

    folder: Path
    taken: str
    kind: str
    num: int


class PictureSources:
    """The sources behind some paths, in order, and those of their pictures that belong to one shard.

    ``left_out`` is what lies in named folders and is not read, because other files there are.
    Raises subclasses of SmallsightError for paths that cannot be used.
    """

    def __init__(
        self, paths: Sequence[Path], settings: Settings, shard: Shard, options: TableOptions
    ) -> None:
        self._settings = settings
        self._shard = shard
        self._options = options
        self.left_out: list[LeftOut] = []
        self._named = {path.absolute() for path in paths}
        found = [one for path in paths for one in self._found_at(path)]
        uses = Counter(name for _, name in found)
        self._sources = [
            self._open(path, name if uses[name] == 1 else shown_name(str(path))) for path, name in found
        ]
        if len({one.name for one in self._sources}) < len(self._sources):
            raise ArgumentError("A source is named twice.", hint="name each once.")
        table = next((one for one in self._sources if isinstance(one, TableSource)), None)
        if table is not None:
            table.require_column()
        self._counts = [one.count(partial(shard.has, one.name)) for one in self._sources]
        self._num_passed: Counter[str] = Counter()
        self._num_done = 0

    def __len__(self) -> int:
        """Return the number of folders and files."""
        return len(self._sources)

    def pictures(self) -> Iterator[SourcePicture]:
        """Yield the pictures of the shard, in an order that is always the same."""
        self._num_passed.clear()
        for number, source in enumerate(self._sources):
            self._num_done = number
            for picture in source.pictures(partial(self._shard.has, source.name)):
                self._num_passed[source.name] += 1
                yield picture
        self._num_done = len(self._sources)

    def estimate(self) -> int | None:
        """Return about how many pictures there are in the shard: exact for folders; None before it is known.

        Of a file, as many per byte as so far.
        """
        total, num_known, known_bytes, unknown_bytes = 0.0, 0.0, 0.0, 0.0
        for number, (source, counted) in enumerate(zip(self._sources, self._counts, strict=True)):
            fraction = 1.0 if number < self._num_done else source.fraction_read
            if counted is not None:
                total += counted
            elif number <= self._num_done and fraction > 0:
                expected = self._num_passed[source.name] / fraction
                total, num_known = total + expected, num_known + expected
                known_bytes += source.size_bytes
            else:
                unknown_bytes += source.size_bytes
        if unknown_bytes and not known_bytes:
            return None
        return round(total + (num_known * unknown_bytes / known_bytes if unknown_bytes else 0))

    def _found_at(self, path: Path) -> list[tuple[Path, str]]:
        """Return the files or the folder behind a path, with their names, which no machine's path is in."""
        if path.is_dir():
            files = self._files_in(path)
            if files:
                return [(one, shown_name(one.relative_to(path).as_posix())) for one in files]
        return [(path, shown_name(path.name or path.absolute().name))]

    def _files_in(self, folder: Path) -> list[Path]:
        """Return the tar files or tables of a folder that holds such; nothing for one of pictures."""
        if is_dataset_folder(folder):
            require_table_reader()
            return list_dataset_files(folder)
        names = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
        unnamed = [name.lower() for name in names if folder.absolute() / name not in self._named]
        nums = {kind: sum(name.endswith(endings) for name in unnamed) for kind, endings in _KINDS.items()}
        nums[_PICTURES] = sum(kind_of_name(name) is FileKind.PICTURE for name in names)
        taken, files = _PICTURES, list[Path]()
        if not nums[_PICTURES]:
            taken, files = next(_in_folder_or_below(folder), (taken, files))
        self.left_out += [
            LeftOut(folder, taken, kind, num) for kind, num in nums.items() if num and kind != taken
        ]
        return files

    def _open(self, path: Path, name: str) -> DataSource:
        ending = path.name.lower()
        if ending.endswith(_TARS):
            return TarSource(path, name, self._settings.limits)
        if ending.endswith(_TABLES):
            return TableSource(
                path,
                name,
                self._settings.limits,
                column=self._options.column,
                pictures_folder=self._options.pictures_folder,
            )
        return FolderSource(path, name, self._settings)


def _in_folder_or_below(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the files of each kind but pictures, sorted, first those of the folder itself."""
    for kind, endings in _KINDS.items():
        for pattern in ("*", "*/*"):
            found = [one for one in folder.glob(pattern) if one.name.lower().endswith(endings)]
            if found:
                yield kind, sorted(found)
