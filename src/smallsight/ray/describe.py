"""``Describe``: a class for ``map_batches`` of Ray Data that adds captions to pictures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
from PIL import Image

from smallsight.captioning.caption_columns import CAPTION
from smallsight.captioning.caption_writers import with_vectors
from smallsight.captioning.captioner import HashedPicture
from smallsight.captioning.source_picture import SourcePicture
from smallsight.errors import ArgumentError, PictureError, SmallsightError
from smallsight.ray.data_set import UNREADABLE
from smallsight.ray.node_settings import needed_memory_bytes, worker_settings
from smallsight.services.captioning import AskedColumns, local_captioner
from smallsight.services.describing import load_describing_model
from smallsight.settings import load_settings

__all__ = ["Describe", "resources"]

_BYTES, _PIXELS = "bytes", "image"  # what read_binary_files and read_images call their columns
_NAMES = ("key", "path", "__key__")  # columns that name a picture, in messages only
_PLACE = ["source", "key", "name"]  # of a row of ``smallsight caption``: the input has its own


class Describe:
    """Adds a model's answers to batches of pictures; Ray makes one for each actor, which loads one model.

    ``dataset.map_batches(Describe, fn_constructor_kwargs={"model": NAME}, batch_size=16, concurrency=4,
    **resources(NAME))``. A batch has a column ``bytes`` with whole files, or ``image`` with pixels, uint8
    [height, width, 3]; that column is left out of the result, others are kept. Added are ``sha256``,
    which identifies the picture, the columns of ``smallsight caption``, and why there is no answer, if so.
    A batch of arrow tables (``batch_format="pyarrow"``) or of numpy arrays.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        prompts: str | Mapping[str, str | None] | None = None,
        ocr: bool = False,
        embed: tuple[str, ...] = (),
        **options: Any,  # noqa: ANN401 - as in the settings
    ) -> None:
        """``prompts`` maps columns to questions; ``options`` are those of ``[describe]`` in the settings."""
        chosen = {"model": model, **options}
        describe = {name: value for name, value in chosen.items() if value is not None}
        settings = worker_settings({"describe": describe} if describe else {})
        named = prompts if isinstance(prompts, Mapping) else {CAPTION: prompts}
        self._opened = ExitStack()
        self._captioner = self._opened.enter_context(
            local_captioner(
                settings,
                AskedColumns(dict(named), ocr, tuple(embed)),
                lambda: load_describing_model(settings, for_many=True),
            )
        )

    def __call__(self, batch: Any) -> Any:  # noqa: ANN401 - a table, or arrays by column
        """Return the batch as an arrow table, with answers in place of pictures."""
        import pyarrow as pa  # noqa: PLC0415 - Ray Data brings it

        is_table = isinstance(batch, pa.Table)
        columns = {name: batch[name] for name in (batch.column_names if is_table else batch)}
        pictures = list(_pictures(columns))
        unique = {sha256: picture for picture, sha256 in pictures if sha256 is not None}
        results = self._captioner.results((picture, sha256) for sha256, picture in unique.items())
        found = {result.sha256: result.row for result in results}
        answers = self._captioner.columns
        rows = [with_vectors(answers.row(_facts(one, sha256, found)), answers) for one, sha256 in pictures]
        added = pa.Table.from_pylist(rows, schema=answers.parquet_schema(pa, {}).remove_metadata())
        added = added.drop_columns(_PLACE)
        left_out = {_BYTES, _PIXELS, UNREADABLE, *added.column_names}
        kept = {name: one for name, one in columns.items() if name not in left_out}
        for position, (name, one) in enumerate(kept.items()):
            added = added.add_column(position, name, one if is_table else [_values(one)])
        return added


def resources(model: str | None = None, *, precision: str = "auto", num_cpus: int = 1) -> dict[str, Any]:
    """Return the processors and memory of an actor, for ``map_batches``; raises subclasses of ModelError."""
    describe = {"precision": precision} if model is None else {"model": model, "precision": precision}
    return {"num_cpus": num_cpus, "memory": needed_memory_bytes(load_settings(describe=describe))}


def _pictures(columns: Mapping[str, Any]) -> Iterator[HashedPicture]:
    """Yield the picture of each row; raises ArgumentError for a batch without any."""
    name = next((one for one in (_BYTES, _PIXELS) if one in columns), None)
    if name is None:
        raise ArgumentError(
            f"The batch has no column {_BYTES!r} or {_PIXELS!r}, only {', '.join(columns) or 'none'}.",
            hint="read pictures with ray.data.read_binary_files or read_images, or rename the column.",
        )
    named = next((one for one in _NAMES if one in columns), None)
    values = _values(columns[name])
    keys = map(str, range(len(values)) if named is None else _values(columns[named]))
    reasons = _values(columns[UNREADABLE]) if UNREADABLE in columns else [None] * len(values)
    for key, value, reason in zip(keys, values, reasons, strict=True):
        if value is None:
            error = PictureError(reason or "There is no picture in this row.")
            yield SourcePicture("", key, key, error), None
        elif isinstance(value, bytes):
            yield SourcePicture("", key, key, value), hashlib.sha256(value).hexdigest()
        else:
            pixels = np.ascontiguousarray(value)
            sha256 = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
            yield SourcePicture("", key, key, _as_png(pixels)), sha256


def _facts(
    picture: SourcePicture, sha256: str | None, found: Mapping[str | None, dict[str, Any]]
) -> dict[str, Any]:
    """Return what is known about the picture of a row."""
    if isinstance(picture.data, SmallsightError):
        return {"error_code": picture.data.code, "error": picture.data.message}
    return {**found[sha256], "sha256": sha256, "size_bytes": len(picture.data)}


def _as_png(pixels: Any) -> bytes | PictureError:  # noqa: ANN401 - whatever the batch holds
    """Return pixels as a file that the decoder reads, without loss."""
    try:
        image = Image.fromarray(pixels)
    except (TypeError, ValueError, AttributeError):
        return PictureError(f"These are no pixels: {pixels.dtype} of shape {pixels.shape}.")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - of arrow or numpy
    """Return the values of a column, arrays of pixels as they are."""
    return list(column.to_pylist() if hasattr(column, "to_pylist") else column)
