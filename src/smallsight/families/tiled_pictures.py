"""Pictures that were cut into tiles, remembered so that a second question neither decodes nor cuts them."""

from __future__ import annotations

import threading
from collections import OrderedDict

from smallsight.families.messages import Detail, TiledPicture

__all__ = ["TiledPictures"]


class TiledPictures:
    """Tiles by the digest of the picture's file and the detail; the least recently used go. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._known: OrderedDict[tuple[bytes, Detail], TiledPicture] = OrderedDict()
        self._lock = threading.Lock()
        self.num_bytes = 0

    def find(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return the tiles of a picture, or None when they are not known."""
        with self._lock:
            picture = self._known.get((digest, detail))
            if picture is not None:
                self._known.move_to_end((digest, detail))
            return picture

    def remember(self, digest: bytes, detail: Detail, picture: TiledPicture) -> None:
        """Keep a picture's tiles; one larger than the whole memory is not kept."""
        with self._lock:
            if (digest, detail) in self._known or picture.num_bytes > self._max_bytes:
                return
            self._known[digest, detail] = picture
            self.num_bytes += picture.num_bytes
            while self.num_bytes > self._max_bytes:
                _, oldest = self._known.popitem(last=False)
                self.num_bytes -= oldest.num_bytes
