"""The pictures of one validation: which files, and a hash over their bytes and the question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smallsight.errors import PictureError
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits
from smallsight.validation.visit_plan import spread_evenly

__all__ = ["PictureFile", "PictureSet", "read_picture_set"]


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One file; ``name`` is its path below the folder, ``problem`` says why it cannot be read."""

    name: str
    path: Path
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """The pictures of a folder that are measured, and how many the folder has."""

    folder: Path
    readable: tuple[PictureFile, ...]
    unreadable: tuple[PictureFile, ...]
    num_in_folder: int

    def digest(self, question: str) -> str:
        """Return a hash over the bytes of the pictures and the question, whatever the files are called."""
        hashes = sorted(one.sha256 for one in self.readable)
        return hashlib.sha256("\n".join([question, *hashes]).encode()).hexdigest()


def read_picture_set(folder: Path, names: Iterable[str], limits: Limits, *, most: int) -> PictureSet:
    """Read and hash at most ``most`` of the files with these names below a folder, spread evenly over them.

    A copy of a picture that is there already is left out: it would count twice.
    """
    found = sorted(names, key=lambda name: name.split("/"))
    chosen = [found[place] for place in spread_evenly(len(found), most)]
    readable: dict[str, PictureFile] = {}
    unreadable = []
    for name in chosen:
        path = folder / name
        try:
            sha256 = hashlib.sha256(read_picture_file(path, limits)).hexdigest()
        except PictureError as error:
            unreadable.append(PictureFile(name, path, problem=error.message))
            continue
        readable.setdefault(sha256, PictureFile(name, path, sha256))
    return PictureSet(folder, tuple(readable.values()), tuple(unreadable), len(found))
