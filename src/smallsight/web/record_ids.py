"""Numbers of records in addresses and forms: only those that a database can have."""

from __future__ import annotations

from starlette.convertors import Convertor

__all__ = ["RecordIdConvertor", "parse_record_id"]

_MAX_DIGITS = 15


class RecordIdConvertor(Convertor[int]):
    """Has a route match numbers of records only; Starlette's own takes any, also those Python refuses."""

    regex = f"[0-9]{{1,{_MAX_DIGITS}}}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return the number as a part of a path."""
        return str(value)


def parse_record_id(text: object) -> int | None:
    """Return the number in a field of a form or query, None for anything else."""
    if not isinstance(text, str) or not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
        return None
    return int(text)
