"""The fields that the readers of metadata return, before anything is chosen from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["FieldRole", "MetadataField"]


class FieldRole(Enum):
    """What a metadata field is for."""

    TITLE = auto()
    DESCRIPTION = auto()
    COMMENT = auto()  # also headlines and subjects
    KEYWORD = auto()
    TAKEN = auto()
    DIGITISED = auto()
    CHANGED = auto()
    GPS_TIME = auto()  # in UTC, near the time at which the picture was taken
    MAKE = auto()
    MODEL = auto()
    LATITUDE = auto()
    LONGITUDE = auto()


@dataclass(frozen=True, slots=True)
class MetadataField:
    """One field of a file; ``origin`` names the field, such as ``xmp:dc:description``."""

    role: FieldRole
    text: str
    origin: str
