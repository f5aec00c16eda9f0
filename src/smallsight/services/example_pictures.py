"""The example pictures of an installation, and a copy of them that can be a folder of the library."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from smallsight.errors import PictureNotFoundError, StorageError
from smallsight.settings import Settings

_PACKAGE = Path(__file__).parent.parent
_ROOTS = (_PACKAGE / "demo", _PACKAGE.parent.parent / "examples")  # in a wheel, in a checkout


def shipped_pictures() -> tuple[Path, Path]:
    """Return the folders of example pictures and of stickers, which share a parent.

    Raises PictureNotFoundError in an installation without them.
    """
    for root in _ROOTS:
        if (root / "pictures").is_dir() and (root / "stickers").is_dir():
            return root / "pictures", root / "stickers"
    raise PictureNotFoundError(
        "The example pictures are not part of this installation.",
        hint="name a folder of your own: `smallsight demo --pictures FOLDER`.",
    )


def has_examples() -> bool:
    """Return whether this installation has example pictures."""
    try:
        shipped_pictures()
    except PictureNotFoundError:
        return False
    return True


def copy_examples(settings: Settings) -> Path:
    """Copy the example pictures into the data folder, once, and return their folder.

    A library must not depend on the folder of an installation, which the next update may move. Raises
    PictureNotFoundError and StorageError.
    """
    target = settings.home / "example-pictures"
    if target.is_dir():
        return target
    building = target.with_name(f"{target.name}-{os.getpid()}.part")
    try:
        for folder in shipped_pictures():
            shutil.copytree(folder, building / folder.name)
        building.rename(target)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        if target.is_dir():  # another process was faster
            return target
        raise StorageError(
            f"The example pictures cannot be copied to {target}: {error.strerror}.",
            hint="make room on the disk, or give this user write permission.",
        ) from error
    return target
