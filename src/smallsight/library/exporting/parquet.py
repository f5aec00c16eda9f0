"""Writes rows and records to a Parquet file; needs pyarrow, which the extra ``parquet`` installs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smallsight.errors import MissingExtraError
from smallsight.library.exporting.record import PictureRecord, as_data

__all__ = ["ParquetRecordWriter", "ParquetRows"]

_PER_ROW_GROUP = 2_000


class ParquetRows:
    """A new Parquet file of rows; raises MissingExtraError.

    The same rows make the same bytes with one version of pyarrow, however they were written.
    """

    def __init__(self, path: Path, make_schema: Callable[[Any], Any]) -> None:
        """``make_schema`` receives the module pyarrow."""
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(
                "Parquet files need the package pyarrow.", hint="pip install 'smallsight[parquet]'"
            ) from error
        self._arrow: Any = pa
        self._schema = make_schema(pa)
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        """Keep a row until there are enough for a row group."""
        self._rows.append(row)
        if len(self._rows) >= _PER_ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write the rest and the footer."""
        if self._rows:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()


class ParquetRecordWriter:
    """A new Parquet file with the keys of the JSON lines as columns; raises MissingExtraError."""

    def __init__(self, path: Path, *, with_places: bool = False) -> None:
        self._with_places = with_places
        self._file = ParquetRows(path, lambda arrow: _schema(arrow, with_places=with_places))

    def write(self, record: PictureRecord) -> None:
        """Write one record."""
        self._file.write(as_data(record, with_places=self._with_places))

    def close(self) -> None:
        """Write the rest and the footer."""
        self._file.close()


def _schema(arrow: Any, *, with_places: bool) -> Any:  # noqa: ANN401 - pyarrow has no types
    text, count = arrow.string(), arrow.int64()
    line = arrow.struct(
        [("text", text), ("confidence", arrow.float64()), ("box", arrow.list_(arrow.list_(arrow.float64())))]
    )
    tag = arrow.struct([("name", text), ("by", text), ("origin", text)])
    return arrow.schema(
        [
            ("path", text),
            ("other_paths", arrow.list_(text)),
            ("sha256", text),
            ("size_bytes", count),
            ("format", text),
            ("width_px", count),
            ("height_px", count),
            ("frames", count),
            ("text", text),
            ("text_by", text),
            ("lines", arrow.list_(line)),
            ("description", text),
            ("description_by", text),
            ("description_model", text),
            ("description_origin", text),
            ("tags", arrow.list_(tag)),
            ("problems", arrow.list_(text)),
            ("indexed_at_s", arrow.float64()),
            ("taken", text),
            ("date_origin", text),
            ("camera", text),
            ("kind", text),
            *([("latitude", arrow.float64()), ("longitude", arrow.float64())] if with_places else []),
        ]
    )
