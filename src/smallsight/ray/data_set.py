"""The data sets of ``smallsight caption`` as one of Ray Data: every machine reads some shards of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smallsight.captioning.picture_sources import PictureSources, TableOptions
from smallsight.captioning.shard import Shard
from smallsight.errors import SmallsightError
from smallsight.ray.node_settings import load_ray
from smallsight.settings import load_settings

__all__ = ["UNREADABLE", "read_pictures"]

UNREADABLE = "unreadable"
_BLOCK_BYTES = 64 * 1024**2


def read_pictures(paths: str | Path | Sequence[str | Path], *, shards: int = 16) -> Any:  # noqa: ANN401 - Ray's
    """Return a Dataset of the pictures in folders, tar files of webdataset and tables, on a shared disk.

    Columns: ``source``, ``key`` and ``name`` as in ``smallsight caption``; ``bytes``; ``unreadable``, why
    there are none; and ``id``, the SHA-256 of a picture's place and bytes: the same in every run, and another
    for a copy of the picture, as ``CheckpointConfig(id_column="id")`` wants it. Each of ``shards`` is read by
    one task. Raises MissingExtraError and whatever the command raises for paths.
    """
    ray = load_ray()
    from ray.data.block import BlockMetadata  # noqa: PLC0415 - an extra
    from ray.data.datasource import Datasource, ReadTask  # noqa: PLC0415

    listed = [
        Path(one).expanduser().resolve() for one in ([paths] if isinstance(paths, str | Path) else paths)
    ]
    PictureSources(listed, load_settings(), Shard(), TableOptions())  # raises now, not on another machine
    nothing_known = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None, input_files=None)

    class Pictures(Datasource):
        """One read task for each shard."""

        def get_read_tasks(self, *_: object, **__: object) -> list[Any]:
            """Return the tasks."""
            return [
                ReadTask(partial(_blocks, listed, Shard(number + 1, shards)), nothing_known)
                for number in range(shards)
            ]

        def estimate_inmemory_data_size(self) -> int | None:
            """Return None: nobody has looked at the files yet."""
            return None

    return ray.data.read_datasource(Pictures(), override_num_blocks=shards)  # type: ignore[no-untyped-call]


def _blocks(paths: list[Path], shard: Shard) -> Iterator[Any]:
    """Yield the pictures of a shard as arrow tables."""
    import pyarrow as pa  # noqa: PLC0415 - Ray Data brings it

    texts = [(name, pa.string()) for name in ("id", "source", "key", "name", UNREADABLE)]
    schema = pa.schema([*texts, ("bytes", pa.large_binary())])
    rows: list[dict[str, Any]] = []
    num_bytes = 0
    for picture in PictureSources(paths, load_settings(), shard, TableOptions()).pictures():
        data = picture.data
        row: dict[str, Any] = {"source": picture.source, "key": picture.key, "name": picture.name}
        digest = hashlib.sha256(f"{picture.source}\0{picture.key}\0".encode())
        if isinstance(data, SmallsightError):
            row[UNREADABLE] = data.message
        else:
            row["bytes"] = data
            digest.update(data)
            num_bytes += len(data)
        rows.append({**row, "id": digest.hexdigest()})
        if num_bytes >= _BLOCK_BYTES:
            yield pa.Table.from_pylist(rows, schema=schema)
            rows, num_bytes = [], 0
    yield pa.Table.from_pylist(rows, schema=schema)
