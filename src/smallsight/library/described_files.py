"""The files that a person asks a model about: named ones, all in a folder, or one from standard input."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from smallsight.errors import (
    PictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    SmallsightError,
)
from smallsight.library.describing import DescribeOptions
from smallsight.library.many_answers import answer_each
from smallsight.library.walk import Passed, list_pictures
from smallsight.media.decoder import PictureDecoder
from smallsight.media.file_kinds import FileKind
from smallsight.media.files import read_picture_file
from smallsight.media.metadata.words import FileWords
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes
from smallsight.settings import Limits, Settings

__all__ = ["DescribedFile", "WantedFile", "describe_files", "list_wanted", "read_wanted"]

STDIN = Path("-")
_Opened: TypeAlias = NamedBytes | SmallsightError
_ADDRESS = re.compile(r"(?P<scheme>https?|ftps?|file|data|s3|gs):/*(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file to describe; ``inside`` is the folder it was found in, and ``error`` why it cannot be read."""

    path: Path
    inside: Path | None = None
    error: SmallsightError | None = None

    @property
    def absolute_name(self) -> str:
        """The absolute path, or "-" for standard input."""
        return "-" if self.path == STDIN else str(self.path.absolute())


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """The answer about one file, or why there is none; the hash is None if the file could not be read.

    ``words`` are those of its metadata, or of the container of a video; None if they were not asked for.
    """

    file: WantedFile
    sha256: str | None
    answer: Answer | SmallsightError
    words: FileWords | None = None


def list_wanted(paths: Iterable[Path], settings: Settings) -> list[WantedFile]:
    """Return the files of these paths in order; a folder stands for the pictures and videos below it.

    What counts as a picture, and which files are excluded, is as in an index run. Never raises: a path that
    cannot be used is an entry with an error.
    """
    wanted: list[WantedFile] = []
    for path in paths:
        if path != STDIN and (address := _ADDRESS.fullmatch(str(path))) and not path.exists():
            wanted.append(WantedFile(path, error=_not_fetched(address)))
        elif path.is_dir():
            wanted += _list_folder(path, settings)
        else:
            wanted.append(WantedFile(path))
    return wanted


def read_wanted(file: WantedFile, limits: Limits) -> NamedBytes:
    """Return the bytes and the name of a file; raises PictureError or the file's error."""
    if file.error is not None:
        raise file.error
    if file.path == STDIN:
        return NamedBytes("", _read_stdin(limits))
    return NamedBytes(file.path.name, read_picture_file(file.path, limits, inside=file.inside))


def describe_files(
    model: Model,
    files: Iterable[WantedFile],
    options: DescribeOptions,
    limits: Limits,
    is_wanted: Callable[[WantedFile, str | None], bool] = lambda _file, _sha256: True,
    *,
    with_words: bool = False,
) -> Generator[DescribedFile, None, None]:
    """Yield the answer about each file, in order; closing the generator stops the model.

    ``is_wanted`` receives each file that was read, and its hash, and may leave it out. Only as many pictures
    as the model works on at once are in memory.
    """

    def opened() -> Iterator[tuple[tuple[WantedFile, str | None, FileWords | None], _Opened]]:
        with PictureDecoder(limits) as decoder:  # its child starts with the first file
            for file in files:
                try:
                    read = read_wanted(file, limits)
                except SmallsightError as error:
                    if is_wanted(file, None):
                        yield (file, None, None), error
                    continue
                sha256 = hashlib.sha256(read.data).hexdigest()
                if is_wanted(file, sha256):
                    words = _words(decoder, read.data) if with_words else None
                    yield (file, sha256, words), read

    answered = answer_each(model, opened(), [options])
    with closing(answered):
        for (file, sha256, words), answers in answered:
            answer = answers if isinstance(answers, SmallsightError) else answers[0]
            yield DescribedFile(file, sha256, answer, words)


def _words(decoder: PictureDecoder, data: bytes) -> FileWords | None:
    try:
        return decoder.read_words(data)
    except PictureError:  # the model's decoder says what is wrong with the file
        return None


def _list_folder(root: Path, settings: Settings) -> list[WantedFile]:
    listing = list_pictures(
        root, exclude=settings.index.exclude, follow_symlinks=settings.index.follow_symlinks
    )
    names = [found.path for found in listing.files] + listing.passed.get(FileKind.VIDEO, [])
    inside = None if settings.index.follow_symlinks else root
    wanted = [WantedFile(root / name, inside) for name in sorted(names, key=lambda name: name.split("/"))]
    for below in listing.unreadable_folders:
        error = PictureNotFoundError(
            f"This folder cannot be listed: {root / below}", hint="give this user read permission."
        )
        wanted.append(WantedFile(root / below, error=error))
    for name in listing.passed.get(Passed.NAME, ()):
        unnamed = PictureError("The name is not valid text (UTF-8).", hint="rename the file.")
        wanted.append(WantedFile(root / name, error=unnamed))
    if not wanted:
        nothing = PictureNotFoundError(
            f"There are no pictures or videos in this folder: {root}", hint="check the path."
        )
        wanted.append(WantedFile(root, error=nothing))
    return wanted


def _not_fetched(address: re.Match[str]) -> PictureNotFoundError:
    shown = f"{address['scheme']}://{address['rest']}"
    return PictureNotFoundError(
        f"Addresses are not fetched: {shown}",
        hint="download the picture and give its path, or `-` for a picture from standard input.",
    )


def _read_stdin(limits: Limits) -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or os.isatty(stream.fileno()):
        raise PictureNotFoundError(
            "There is no picture on standard input.", hint="pipe one in: `smallsight describe - < cat.jpg`."
        )
    data: bytes = stream.read(limits.max_file_bytes + 1)
    if not data:
        raise PictureNotFoundError("Standard input is empty.", hint="pipe a picture in.")
    if len(data) > limits.max_file_bytes:
        raise PictureTooLargeError(
            f"The picture on standard input has more than {limits.max_file_bytes} bytes.",
            hint="raise limits.max_file_bytes.",
        )
    return data
