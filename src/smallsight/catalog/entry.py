"""The value types of the catalogue: what is known about a model before anything is loaded.

Types only; the data is in ``entries.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smallsight.version import __version__


class Precision(StrEnum):
    """How the weights of a loaded model are stored."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"


class Modality(StrEnum):
    """A kind of input that a model accepts."""

    IMAGE = "image"
    VIDEO = "video"


class Verdict(StrEnum):
    """The result of `smallsight validate` for a variant, if it has been run."""

    NOT_MEASURED = "not measured yet"
    STABLE = "stable"
    EXPERIMENTAL = "experimental"
    DO_NOT_SHIP = "do not ship"


@dataclass(frozen=True)
class Licence:
    """A licence: its SPDX identifier and the page on which the publisher states it."""

    spdx: str
    url: str


@dataclass(frozen=True)
class Architecture:
    """The sizes of one network: enough for its family to list every parameter tensor.

    ``sizes`` holds numbers, tuples of numbers and booleans, keyed by the arguments of the family's
    ``shapes.py``.
    """

    name: str
    family: str
    sizes: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue.

    A quantised variant has a ``base`` and uses that entry's files: it is quantised while loading.
    ``repository`` is None for a model whose files ship with the package, or that has none.
    ``revision`` is a tag or branch; `catalog.manifest.Pins` turns it into one commit at the first pull.
    """

    id: str
    name: str
    family: str
    summary: str
    good_at: str
    hardware: str
    licence: Licence
    badges: tuple[str, ...]
    modalities: tuple[Modality, ...]
    precisions: tuple[Precision, ...]
    available_in: str
    verdict: Verdict
    default_prompt: str
    architecture: Architecture | None = None
    base: str | None = None
    repository: str | None = None
    other_repositories: tuple[str, ...] = ()
    revision: str = "main"
    files: tuple[str, ...] = ()
    checkpoint_precision: Precision | None = None
    video_available_in: str | None = None

    @property
    def precision(self) -> Precision | None:
        """The default precision; None for a model without weights."""
        return self.precisions[0] if self.precisions else None

    @property
    def is_runnable(self) -> bool:
        """Whether this release can run the model."""
        return release_number(self.available_in) <= release_number(__version__)


def release_number(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparing releases: ``"0.2.0.dev1"`` is (0, 2, 0)."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()
