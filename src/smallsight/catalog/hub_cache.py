"""Paths in the Hugging Face cache on this machine, following its documented layout.

::

    models--ORG--NAME/blobs/DIGEST                 the bytes of one file
    models--ORG--NAME/refs/REVISION                the commit that a branch or tag was last seen at
    models--ORG--NAME/snapshots/COMMIT/FILE        a link to the blob

Reads only; fetching is in ``hub.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from smallsight.catalog.manifest import RemoteFile, is_commit


def default_cache_dir() -> Path:
    """Return the cache shared by all programs of this user, from HF_HUB_CACHE and HF_HOME."""
    return Path(constants.HF_HUB_CACHE)


@dataclass(frozen=True)
class CachedRepository:
    """The cache's folder for one model repository; it need not exist."""

    cache_dir: Path
    repository: str

    @property
    def folder(self) -> Path:
        """The repository's folder."""
        return self.cache_dir / self._folder_name

    def blob_path(self, file: RemoteFile) -> Path:
        """Return the path of the bytes of a file."""
        return self.folder / "blobs" / file.digest

    def lock_path(self, file: RemoteFile) -> Path:
        """Return the path of the lock that the hub library takes for the same blob."""
        return self.cache_dir / ".locks" / self._folder_name / f"{file.digest}.lock"

    def snapshot_dir(self, commit: str) -> Path:
        """Return the folder that mirrors the repository at one commit."""
        return self.folder / "snapshots" / commit

    def ref_path(self, revision: str) -> Path:
        """Return the file that holds the commit at which a branch or tag was last seen."""
        return self.folder / "refs" / revision

    def commit_at(self, revision: str) -> str | None:
        """Return the commit at which a branch or tag was last seen by any program, or None."""
        if is_commit(revision):
            return revision
        try:
            commit = self.ref_path(revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return commit if is_commit(commit) else None

    @property
    def _folder_name(self) -> str:
        return "--".join(("models", *self.repository.split("/")))


def repository_of_snapshot(directory: Path) -> str | None:
    """Return ``ORG/NAME`` when a directory is a snapshot inside a hub cache, else None."""
    repository_folder = directory.parent.parent
    if directory.parent.name != "snapshots" or not repository_folder.name.startswith("models--"):
        return None
    return "/".join(repository_folder.name.split("--")[1:])
