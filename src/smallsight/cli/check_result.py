"""What one check of ``smallsight doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The severity of a check's result."""

    GOOD = "good"
    NOTE = "note"
    MISSING = "missing"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report; ``remedy`` says what to do, None means nothing."""

    name: str
    health: Severity
    text: str
    remedy: str | None = None
