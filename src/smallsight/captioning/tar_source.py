"""Pictures in a tar file whose members are grouped into samples by their names, as webdataset does it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import groupby
from pathlib import Path

from smallsight.captioning.source_picture import SourcePicture, WantsKey, shown_name
from smallsight.captioning.tar_members import TarMember, TarMembers
from smallsight.errors import (
    CorruptPictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    SmallsightError,
    UnsupportedFormatError,
)
from smallsight.media.file_kinds import FileKind, kind_of_name
from smallsight.media.formats import readable_format
from smallsight.settings import Limits

__all__ = ["TarSource", "sample_key"]

_HEAD_BYTES = 512
_SHOWN = {FileKind.PICTURE, FileKind.VIDEO}


class TarSource:
    """A ``DataSource``. A sample is members that follow each other and share all of the path up to the
    first dot of the name, which is the key of its pictures.

    A sample without a picture is one with an error, also if all it has is a link. Folders, and members whose
    names begin with ``.`` or ``_``, are passed over.
    """

    def __init__(self, path: Path, name: str, limits: Limits) -> None:
        """Raise PictureNotFoundError if the file cannot be opened."""
        self.name = name
        self.fraction_read = 0.0
        self._path = path
        self._limits = limits
        try:
            if not path.is_file():
                raise PictureNotFoundError(f"This is not a file: {path}", hint="check the path.")
            self.size_bytes = path.stat().st_size
            path.open("rb").close()
        except OSError as error:
            raise _unreadable(path, error) from error

    def count(self, wants: WantsKey) -> None:
        """Return None: the members are listed nowhere."""

    def pictures(self, wants: WantsKey) -> Generator[SourcePicture, None, None]:
        """Yield the pictures in the order of the members; after damage, an error and nothing more."""
        self.fraction_read = 0.0
        try:
            with self._path.open("rb") as file:
                yield from self._samples(TarMembers(file), wants)
        except UnsupportedFormatError as error:
            yield from self._problem(error, wants)
        except OSError as error:
            yield from self._problem(_unreadable(self._path, error), wants)
        self.fraction_read = 1.0

    def _samples(self, members: TarMembers, wants: WantsKey) -> Iterator[SourcePicture]:
        is_empty = True
        try:
            files = (one for one in members if not one.is_folder)
            for key, sample in groupby(files, key=lambda one: sample_key(one.name)):
                if key is None:
                    continue
                is_empty = False
                if wants(key):
                    yield from self._of_sample(key, sample, members)
        except CorruptPictureError as error:
            yield from self._problem(error, wants)
            return
        if is_empty:
            nothing = PictureNotFoundError("There are no samples in this tar file.", hint="check the file.")
            yield from self._problem(nothing, wants)

    def _of_sample(
        self, key: str, sample: Iterator[TarMember], members: TarMembers
    ) -> Iterator[SourcePicture]:
        num_pictures, name = 0, ""
        for member in sample:
            name = shown_name(member.name.rsplit("/", 1)[-1])
            data = self._data_of(member, members) if member.is_file else None
            self.fraction_read = members.fraction_read
            if data is not None:
                num_pictures += 1
                yield SourcePicture(self.name, key, name, data)
        if not num_pictures:
            nothing = PictureNotFoundError(
                "There is no picture in this sample.", hint="the picture may have failed to download."
            )
            yield SourcePicture(self.name, key, name, nothing)

    def _data_of(self, member: TarMember, members: TarMembers) -> bytes | SmallsightError | None:
        """Return the bytes of a picture, or None for something else."""
        kind = kind_of_name(member.name)
        head = b""
        if kind is None:
            head = members.read(min(_HEAD_BYTES, member.size_bytes))
            kind = FileKind.OTHER if readable_format(head) is None else FileKind.PICTURE
        if kind not in _SHOWN:
            return None
        if member.size_bytes > self._limits.max_file_bytes:
            return PictureTooLargeError(
                f"File is too large: {member.size_bytes} bytes (limit {self._limits.max_file_bytes}).",
                hint="raise limits.max_file_bytes or make the file smaller.",
            )
        return head + members.read(member.size_bytes - len(head))

    def _problem(self, error: SmallsightError, wants: WantsKey) -> Iterator[SourcePicture]:
        if wants(""):
            yield SourcePicture(self.name, "", shown_name(self._path.name), error)


def sample_key(name: str) -> str | None:
    """Return the key of a member's sample, or None for a member that belongs to none."""
    folder, slash, file_name = name.rpartition("/")
    stem = file_name.split(".", 1)[0]
    if not stem or stem.startswith("_"):
        return None
    return shown_name(f"{folder}{slash}{stem}")


def _unreadable(path: Path, error: OSError) -> PictureNotFoundError:
    return PictureNotFoundError(
        f"This file cannot be read ({error.strerror or error}): {path}", hint="check the path."
    )
