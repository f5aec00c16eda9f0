"""The base class of all errors, and those about settings, arguments, packages, disk and memory."""

from __future__ import annotations

from typing import ClassVar, Self


class SmallsightError(Exception):
    """The base class of all errors that Smallsight raises on purpose.

    ``code`` is stable and meant for programs; ``hint`` tells a person what to do, or is None.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} hint: {self.hint}"


class SettingsError(SmallsightError):
    """A setting, flag, environment variable or state file has a value that cannot be used."""

    code = "bad_setting"
    exit_code = 2
    http_status = 400


class ArgumentError(SmallsightError):
    """An argument of a call, or the same field in an HTTP request, has a value that cannot be used.

    Not a ValueError: pydantic and every ``except ValueError`` around a parser would catch it.
    """

    code = "unsupported_value"
    exit_code = 2
    http_status = 400


class InvalidTextError(ArgumentError):
    """Text that is not Unicode: half of a surrogate pair, or bytes that are not UTF-8."""

    code = "invalid_text"

    @classmethod
    def of(cls, what: str) -> Self:
        """Return one that names the argument."""
        return cls(
            f"{what} is not valid text: it holds half of a character, or bytes that are not UTF-8.",
            hint="send whole Unicode characters, as UTF-8.",
        )


class UnknownKeyError(ArgumentError):
    """The server has no key of this name."""

    code = "unknown_key"
    exit_code = 3
    http_status = 404


class MissingExtraError(SmallsightError):
    """An optional package is needed and not installed."""

    code = "missing_extra"
    exit_code = 5
    http_status = 501


class ClusterError(SmallsightError):
    """A cluster of machines does not answer, has no room, or one of its workers failed."""

    code = "cluster"
    exit_code = 6
    http_status = 503


class StorageError(SmallsightError):
    """The disk is full, or a folder cannot be written to; what was finished before is kept."""

    code = "storage"
    exit_code = 7
    http_status = 507


class PathError(SmallsightError):
    """A path that was given cannot be looked at: it is too long, or this user has no permission."""

    code = "unusable_path"
    exit_code = 3
    http_status = 400


class OutOfResourcesError(SmallsightError):
    """Memory ran out; what was finished before is kept."""

    code = "out_of_resources"
    exit_code = 7
    http_status = 507


class DecoderNotStartedError(OutOfResourcesError):
    """The process that decodes files cannot be started: for want of memory, or in a damaged installation."""

    code = "decoder_not_started"


class MemoryBudgetError(OutOfResourcesError):
    """A model does not fit in the memory budget next to the models in use."""

    code = "memory_budget"
    http_status = 503
