"""Pulls a model's files from a Hugging Face hub into the cache shared by all programs of this user.

Only files that the catalogue allows are fetched, at the commit recorded in `Pins`. ``transfer.py`` downloads
the bytes; the hub library provides the cache layout, the credentials and the links in a snapshot.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import huggingface_hub  # its submodules load slowly, on first access: so no `from` here
from huggingface_hub import constants, errors, utils

from smallsight.catalog import hub_errors
from smallsight.catalog.entry import Entry
from smallsight.catalog.hub_cache import CachedRepository
from smallsight.catalog.manifest import PinnedRevision, Pins, RemoteFile, is_commit
from smallsight.catalog.transfer import PART_SUFFIX, Request, Retries, fetch, verify
from smallsight.errors import DownloadError, StorageError
from smallsight.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import hf_api

OnBytes = Callable[[int, int, str], None]
"""Called with (bytes on this machine, bytes in total, path of the current file)."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Pulled:
    """The files of a completed pull, and how many bytes were downloaded for it."""

    directory: Path
    commit: str | None
    size_bytes: int
    received_bytes: int


@dataclass(frozen=True)
class Hub:
    """One hub and its local cache; ``endpoint`` None means HF_ENDPOINT or the hub library's default."""

    pins: Pins
    cache_dir: Path
    endpoint: str | None = None
    is_offline: bool = False
    retries: Retries = field(default_factory=Retries)

    @property
    def downloads_are_off(self) -> bool:
        """Whether the user or HF_HUB_OFFLINE has disabled downloads."""
        return self.is_offline or bool(constants.HF_HUB_OFFLINE)

    def pull(self, entry: Entry, *, update: bool = False, on_progress: OnBytes | None = None) -> Pulled:
        """Make an entry's files complete on this machine.

        If all files are present, the network is not used. ``update`` looks for a newer commit of the entry's
        revision first. Raises DownloadError, StorageError, or ModelUnavailableError when offline.
        """
        if entry.repository is None:
            raise DownloadError(f"{entry.name} has no files to fetch.", hint="it needs no download.")
        pinned = self.pins.get(entry.repository, entry.revision)
        if pinned is not None and not update and self._is_complete(entry.repository, pinned):
            return self._pulled(entry.repository, pinned, received_bytes=0)
        if self.downloads_are_off:
            raise hub_errors.offline(entry.name, entry.repository)
        try:
            return self._pull(entry, entry.repository, None if update else pinned, on_progress)
        except errors.OfflineModeIsEnabled as error:
            raise hub_errors.offline(entry.name, entry.repository) from error
        except errors.HfHubHTTPError as error:
            raise hub_errors.refused(error.response.status_code, entry.repository) from error
        except (httpx2.HTTPError, errors.LocalEntryNotFoundError) as error:
            raise hub_errors.unreachable(entry.repository, error) from error
        except OSError as error:
            raise _disk_error(error, self.cache_dir) from error

    def _pull(
        self, entry: Entry, repository: str, pinned: PinnedRevision | None, on_progress: OnBytes | None
    ) -> Pulled:
        if pinned is None:
            pinned = self._resolve(entry, repository)
            self.pins.record(repository, entry.revision, pinned)
        cached = CachedRepository(self.cache_dir, repository)
        self._check_disk(cached, pinned)
        received_bytes, done_bytes = 0, 0
        for file in pinned.files:
            report = _reporter(on_progress, done_bytes, pinned.size_bytes, file.path)
            received_bytes += self._fetch(cached, pinned.commit, file, report)
            done_bytes += file.size_bytes
            report(file.size_bytes)
        return self._pulled(repository, pinned, received_bytes=received_bytes)

    def _resolve(self, entry: Entry, repository: str) -> PinnedRevision:
        """Ask the hub for the commit of the entry's revision and for its files."""
        api = huggingface_hub.HfApi(
            endpoint=self.endpoint, library_name="smallsight", library_version=__version__
        )
        try:
            info = api.model_info(repository, revision=entry.revision, files_metadata=True, timeout=30.0)
        except (ValueError, KeyError, TypeError) as error:
            raise _not_a_hub(repository) from error
        if info.sha is None or not is_commit(info.sha):
            raise _not_a_hub(repository)
        files = tuple(_remote_file(s) for s in info.siblings or () if is_allowed(s.rfilename, entry.files))
        if not any(file.path.endswith(".safetensors") for file in files):
            raise DownloadError(
                f"{repository} has no safetensors weights at {entry.revision}.",
                hint="Smallsight reads no other format, because loading those can run code.",
            )
        return PinnedRevision(info.sha, files)

    def _fetch(
        self, cached: CachedRepository, commit: str, file: RemoteFile, on_bytes: Callable[[int], None]
    ) -> int:
        """Download one file into the cache and link it into the snapshot; return the bytes received."""
        lock = cached.lock_path(file)
        lock.parent.mkdir(parents=True, exist_ok=True)
        # another program that needs the same file waits here, then finds it complete
        with utils.WeakFileLock(lock):  # type: ignore[attr-defined]  # mypy cannot see the lazy names
            received_bytes = self._fetch_blob(cached, commit, file, on_bytes)
        pointer = cached.snapshot_dir(commit) / file.path
        if pointer.exists() and not pointer.samefile(cached.blob_path(file)) and not verify(pointer, file):
            pointer.unlink()  # on a system without links: a copy of invalid bytes
        huggingface_hub.hf_hub_download(
            cached.repository,
            file.path,
            revision=commit,
            cache_dir=self.cache_dir,
            endpoint=self.endpoint,
            library_name="smallsight",
            library_version=__version__,
        )
        return received_bytes

    def _fetch_blob(
        self, cached: CachedRepository, commit: str, file: RemoteFile, on_bytes: Callable[[int], None]
    ) -> int:
        blob = cached.blob_path(file)
        if blob.is_file():
            if verify(blob, file):
                return 0
            blob.unlink()
        url = huggingface_hub.hf_hub_url(
            cached.repository, file.path, revision=commit, endpoint=self.endpoint
        )
        headers = utils.build_hf_headers(  # type: ignore[attr-defined]  # mypy cannot see the lazy names
            library_name="smallsight", library_version=__version__
        )
        request = Request(url, headers, cached.repository)
        return fetch(request, file, blob, on_bytes=on_bytes, retries=self.retries)

    def _check_disk(self, cached: CachedRepository, pinned: PinnedRevision) -> None:
        needed_bytes = sum(f.size_bytes for f in pinned.files if not cached.blob_path(f).is_file())
        existing_dir = next(p for p in (self.cache_dir, *self.cache_dir.absolute().parents) if p.is_dir())
        free_bytes = shutil.disk_usage(existing_dir).free
        if needed_bytes > free_bytes:
            raise StorageError(
                f"{cached.repository} needs {needed_bytes / 1e9:.2f} GB and {existing_dir} has "
                f"{free_bytes / 1e9:.2f} GB free.",
                hint="free some space, or point HF_HUB_CACHE at a larger disk.",
            )

    def _is_complete(self, repository: str, pinned: PinnedRevision) -> bool:
        directory = CachedRepository(self.cache_dir, repository).snapshot_dir(pinned.commit)
        paths = ((directory / file.path, file.size_bytes) for file in pinned.files)
        return all(path.is_file() and path.stat().st_size == size_bytes for path, size_bytes in paths)

    def _pulled(self, repository: str, pinned: PinnedRevision, *, received_bytes: int) -> Pulled:
        directory = CachedRepository(self.cache_dir, repository).snapshot_dir(pinned.commit)
        return Pulled(directory, pinned.commit, pinned.size_bytes, received_bytes)


def is_allowed(path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a repository's file may be fetched: it is at the top level and matches a pattern."""
    return "/" not in path and any(fnmatchcase(path, pattern) for pattern in patterns)


def remove_from_cache(cache_dir: Path, repository: str, commit: str) -> int:
    """Delete one commit of a repository and the rest of interrupted pulls; return the bytes freed.

    Blobs that another commit uses stay: the hub library decides what can be deleted.
    """
    freed_bytes = 0
    folder = CachedRepository(cache_dir, repository).folder
    for part in folder.glob(f"blobs/*{PART_SUFFIX}"):
        freed_bytes += part.stat().st_size
        part.unlink()
    cached = {r.repo_id: r for r in huggingface_hub.scan_cache_dir(cache_dir).repos if r.repo_type == "model"}
    if repository in cached and any(r.commit_hash == commit for r in cached[repository].revisions):
        strategy = huggingface_hub.scan_cache_dir(cache_dir).delete_revisions(commit)
        strategy.execute()
        freed_bytes += strategy.expected_freed_size
    return freed_bytes


def _remote_file(sibling: hf_api.RepoSibling) -> RemoteFile:
    if sibling.lfs is not None:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, "sha256", sibling.lfs.sha256)
    if sibling.size is None or sibling.blob_id is None:
        raise DownloadError(
            f"The hub did not report the size and digest of {sibling.rfilename}.", hint="check HF_ENDPOINT."
        )
    return RemoteFile(sibling.rfilename, sibling.size, "git-sha1", sibling.blob_id)


def _reporter(
    on_progress: OnBytes | None, done_bytes: int, total_bytes: int, path: str
) -> Callable[[int], None]:
    def report(position: int) -> None:
        if on_progress is not None:
            on_progress(done_bytes + position, total_bytes, path)

    return report


def _not_a_hub(repository: str) -> DownloadError:
    return DownloadError(
        f"The response for {repository} is not that of a model hub.",
        hint="check HF_ENDPOINT and the connection: a login page may intercept the request.",
    )


def _disk_error(error: OSError, cache_dir: Path) -> StorageError | DownloadError:
    if error.errno in _DISK_FULL:
        return StorageError(
            f"The disk that holds {cache_dir} is full.",
            hint="free some space and try again: what has been downloaded is kept.",
        )
    return DownloadError(
        f"The model cache {cache_dir} cannot be written: {error.strerror or error}.",
        hint="give this user write permission, or point HF_HUB_CACHE at another folder.",
    )
