"""The folders of the library: what is in them, what is being done, and how to add and remove them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import LibraryMissingError
from smallsight.library.failures import FailedPicture, Failures, list_failures
from smallsight.library.library import FolderSummary
from smallsight.library.walk import IGNORE_FILE
from smallsight.services.example_pictures import copy_examples
from smallsight.services.folder_roots import FolderRoots, PictureCount
from smallsight.services.keeper_state import FolderResult, KeeperSnapshot
from smallsight.web.languages import translate as t
from smallsight.web.live_updates import Fragment, Renderer, Topic
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import WebParts, parts_of

_WAIT_S = 15.0  # for a change of the folders, before the page says that it will be made later
_FAILURES_SHOWN = 50
_COUNTED_FOLDERS = 40  # of those listed in the chooser


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder of the list."""

    summary: FolderSummary
    result: FolderResult | None
    num_failed: int
    is_missing: bool


async def folders(request: Request) -> Response:
    """Return the page of all folders."""
    parts = parts_of(request)
    return parts.pages.page(request, "folders.html", await parts.in_thread(lambda: _values(parts)))


async def choose(request: Request) -> Response:
    """Return the page on which a folder is chosen, at a folder or at the roots."""
    parts, wanted = parts_of(request), request.query_params.get("path", "")
    then = _then(request.query_params.get("then"))

    def values() -> dict[str, Any]:
        roots = folder_roots(parts)
        if not wanted:
            return {"listed": None, "shown": _counted(roots, roots.paths)}
        listed = roots.look_into(Path(wanted))
        return {"listed": listed, "shown": _counted(roots, listed.folders), "count": roots.count(listed.path)}

    return parts.pages.page(request, "choose_folder.html", await parts.in_thread(values) | {"then": then})


async def add(request: Request) -> Response:
    """Add a folder and begin to index it."""
    parts, form = parts_of(request), await request.form()
    wanted = str(form.get("path", "")).strip()
    path = await parts.in_thread(lambda: folder_roots(parts).require(Path(wanted)))
    return await _changed(
        parts, form, parts.keeper.add_folder(path), t("{path} is being indexed.", path=path)
    )


async def add_examples(request: Request) -> Response:
    """Copy the example pictures and index them."""
    parts, form = parts_of(request), await request.form()
    path = await parts.in_thread(lambda: copy_examples(parts.serving.settings))
    return await _changed(
        parts, form, parts.keeper.add_folder(path), t("The example pictures are being indexed.")
    )


async def ask_to_remove(request: Request) -> Response:
    """Return the page that asks whether a folder is to be removed from the library."""
    parts, wanted = parts_of(request), request.query_params.get("path", "")

    def find() -> FolderSummary | None:
        known = parts.library.reading().library.folders()
        return next((one for one in known if str(one.path) == wanted), None)

    folder = await parts.in_thread(find)
    if folder is None:
        return redirect_with_notice(
            f"{parts.prefix}/folders", t("This folder is not in the library."), parts.prefix
        )
    return parts.pages.page(request, "remove_folder.html", {"folder": folder})


async def remove(request: Request) -> Response:
    """Remove a folder from the library; the disk is left alone."""
    parts, form = parts_of(request), await request.form()
    path = Path(str(form.get("path", "")))
    done = t("{path} was removed from the library. Its files are untouched.", path=path)
    return await _changed(parts, form, parts.keeper.remove_folder(path), done)


async def scan(request: Request) -> Response:
    """Scan a folder, or all of them, now."""
    parts, form = parts_of(request), await request.form()
    path = form.get("path")
    parts.keeper.scan((Path(path),) if isinstance(path, str) and path else ())
    return redirect_with_notice(f"{parts.prefix}/folders", t("Looking for changes."), parts.prefix)


async def retry(request: Request) -> Response:
    """Try again what failed."""
    parts = parts_of(request)
    parts.keeper.scan(retries_failed=True)
    return redirect_with_notice(f"{parts.prefix}/folders", t("Trying again what failed."), parts.prefix)


async def stop(request: Request) -> Response:
    """Stop indexing."""
    parts = parts_of(request)
    parts.keeper.stop_run()
    return redirect_with_notice(
        f"{parts.prefix}/folders", t("Stopped. Everything finished is kept."), parts.prefix
    )


def folder_roots(parts: WebParts) -> FolderRoots:
    """Return where people may choose folders now."""
    return FolderRoots(parts.serving.live.current(), known_folders(parts))


def known_folders(parts: WebParts) -> list[Path]:
    """Return the folders of the library; none without a library."""
    return [one.path for one in _summaries(parts)]


def renderers(parts: WebParts) -> Mapping[Topic, Renderer]:
    """Return what keeps open pages up to date."""

    def work() -> list[Fragment]:
        return [Fragment("#work", parts.pages.text("work.html", {"now": parts.keeper.snapshot()}))]

    def listed() -> list[Fragment]:
        values = _values(parts)
        return [
            Fragment("#folder-work", parts.pages.text("folder_work.html", values)),
            Fragment("#folder-list", parts.pages.text("folder_list.html", values)),
        ]

    return {Topic.WORK: work, Topic.FOLDERS: listed}


def _values(parts: WebParts) -> dict[str, Any]:
    now = parts.keeper.snapshot()
    summaries = _summaries(parts)
    failures = Failures({}, ())
    if summaries:
        failures = list_failures(parts.library.reading().database, _FAILURES_SHOWN)
    index = parts.serving.live.current().index
    return {
        "now": now,
        "rows": [_row(one, now, failures) for one in summaries],
        "failures": failures.first,
        "num_failed": sum(failures.counts.values()),
        "other_problems": _other_problems(now, failures.first),
        "exclude": index.exclude,
        "ignore_file": IGNORE_FILE,
        "is_watching": parts.serving.live.current().server.watch,
    }


def _summaries(parts: WebParts) -> list[FolderSummary]:
    try:
        return parts.library.reading().library.folders()
    except LibraryMissingError:
        return []


def _row(summary: FolderSummary, now: KeeperSnapshot, failures: Failures) -> FolderRow:
    is_missing = summary.path in now.missing or not summary.path.is_dir()
    num_failed = failures.counts.get(summary.id, 0)
    return FolderRow(summary, now.results.get(summary.path), num_failed, is_missing)


def _other_problems(now: KeeperSnapshot, failed: tuple[FailedPicture, ...]) -> list[Any]:
    """Return the problems of this run that are not about a picture that is listed as failed."""
    listed = {str(one.path) for one in failed}
    return [one for one in now.problems if one.path not in listed][-_FAILURES_SHOWN:]


def _counted(roots: FolderRoots, paths: tuple[Path, ...]) -> list[tuple[Path, PictureCount | None]]:
    return [
        (path, roots.count(path) if number < _COUNTED_FOLDERS else None) for number, path in enumerate(paths)
    ]


async def _changed(parts: WebParts, form: FormData, change: Future[FolderSummary], done: str) -> Response:
    """Wait until the folders are changed, for a while, and return to the page that asked for it."""
    address = f"{parts.prefix}/{'' if _then(form.get('then')) == 'gallery' else 'folders'}"
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(change)), _WAIT_S)
    except TimeoutError:
        return redirect_with_notice(
            f"{parts.prefix}/folders",
            t("This is done as soon as what is being indexed allows it."),
            parts.prefix,
        )
    return redirect_with_notice(address, done, parts.prefix)


def _then(given: object) -> str:
    return "gallery" if given == "gallery" else "folders"
