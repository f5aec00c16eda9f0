"""The parent's side of the child that reads a table: one request at a time, and what its errors mean."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from smallsight.errors import (
    ArgumentError,
    CorruptPictureError,
    DecoderFailedError,
    MissingExtraError,
    PictureNotFoundError,
    SmallsightError,
)
from smallsight.media.child_process import ChildEndedError, ChildProcess
from smallsight.media.wire import OUT_OF_MEMORY
from smallsight.policy.log import get_logger
from smallsight.policy.shown_text import on_one_line
from smallsight.settings import MIB, Limits

__all__ = ["TableProcess", "require_table_reader"]

log = get_logger(__name__)

_CHILD = "smallsight.captioning.table_child"
_TIMEOUT_S = 120.0  # one request; a slow disk has to read what is compressed with a row


def require_table_reader() -> None:
    """Raise MissingExtraError without pyarrow."""
    if find_spec("pyarrow") is None:
        raise MissingExtraError(
            "Parquet and Arrow files need the package pyarrow.", hint="pip install 'smallsight[parquet]'."
        )


class TableProcess:
    """A child without rights that has one table mapped into memory. Close it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._child = ChildProcess(
            limits.decode_memory_bytes,
            module=_CHILD,
            more_arguments=(
                "parquet" if path.suffix.lower() == ".parquet" else "arrow",
                str(path.absolute()),
            ),
            must_be_restricted=limits.require_sandbox,
        )

    def close(self) -> None:
        """End the child."""
        self._child.kill()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the reply to a request; raises the error that the child reports, or DecoderFailedError."""
        try:
            reply, data = self._child.exchange(
                request, b"", _TIMEOUT_S, max_reply_bytes=self._limits.max_file_bytes
            )
        except ChildEndedError as error:
            raise DecoderFailedError(
                f"The reader of tables ended at this file: {error}.",
                hint="the file is damaged or malicious; other files are not affected.",
            ) from error
        if "error" in reply:
            raise self._error_in_reply(reply)
        return reply, bytes(data)

    def _error_in_reply(self, reply: dict[str, Any]) -> SmallsightError:
        """Return what a reply means; the words are ours, but for the names of columns."""
        log.info("table_refused", path=str(self._path), error=reply["error"], detail=reply.get("detail"))
        if reply["error"] == "no_column":
            columns = reply.get("columns")
            names = ", ".join(map(str, columns)) if isinstance(columns, list) else ""
            return ArgumentError(
                f"No column of this table holds pictures: {self._path}",
                hint=f"name one with --column; there are: {on_one_line(names) or 'none'}.",
            )
        if reply["error"] == OUT_OF_MEMORY:
            return DecoderFailedError(
                f"Reading this table needs too much memory (limit "
                f"{self._limits.decode_memory_bytes // MIB} MiB).",
                hint="raise limits.decode_memory_bytes, or write it with smaller row groups and pages.",
            )
        if reply["error"] == "unreadable":
            return PictureNotFoundError(
                f"This file cannot be opened: {self._path}", hint="check its permissions and size."
            )
        return CorruptPictureError(
            f"This table is damaged or of an unsupported kind: {self._path}",
            hint="rows before the damage were read.",
        )
