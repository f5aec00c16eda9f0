"""Descriptions of many pictures: starting a run, its progress while it works, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import ArgumentError, LibraryMissingError
from smallsight.library.description_runs import (
    DescriptionRun,
    RunRequest,
    RunState,
    SkipReason,
    failures_of,
    list_runs,
)
from smallsight.services.describing import describing_model
from smallsight.services.description_runner import DescriptionRunner
from smallsight.web.gallery_pages import find_all
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.languages import translate_count as tn
from smallsight.web.live_updates import Fragment, Renderer, Topic
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import WebParts, parts_of

_MAX_RUNS, _MAX_FAILURES = 20, 100
_MAX_PROMPT_CHARS = 2000


async def describe(request: Request) -> Response:
    """Return the page: what can be described, and all runs."""
    parts = parts_of(request)
    query = request.query_params.get("q", "")
    return parts.pages.page(request, "describe.html", await parts.in_thread(lambda: _values(parts, query)))


async def start(request: Request) -> Response:
    """Describe what a search finds."""
    parts, form = parts_of(request), await request.form()
    query, prompt = _text(form, "q"), _text(form, "prompt")
    if len(prompt) > _MAX_PROMPT_CHARS:
        raise ArgumentError(f"The prompt is too long (limit {_MAX_PROMPT_CHARS} characters).")

    def work() -> str:
        search = GallerySearch(parts.prefix, words=query)
        ids = find_all(parts, search)
        return begin_run(
            parts,
            ids,
            title=query or t("All pictures"),
            model=_text(form, "model"),
            prompt=prompt or None,
            replaces=form.get("replaces") == "yes",
        )

    return _to_page(parts, await parts.in_thread(work))


async def change(request: Request) -> Response:
    """Pause, resume, cancel or retry a run."""
    parts = parts_of(request)
    run_id, action = int(request.path_params["run_id"]), str(request.path_params["action"])
    changes: Mapping[str, Callable[[DescriptionRunner], object]] = {
        "pause": lambda runner: runner.pause(run_id),
        "resume": lambda runner: runner.resume(run_id),
        "cancel": lambda runner: runner.cancel(run_id),
        "retry": lambda runner: runner.retry_failed(run_id),
    }
    if action not in changes:
        raise ArgumentError("There is no such action.")
    await parts.in_thread(lambda: changes[action](parts.descriptions.runner()))
    return _to_page(parts, "")


def begin_run(
    parts: WebParts,
    ids: list[int],
    *,
    title: str,
    model: str = "",
    prompt: str | None = None,
    replaces: bool = False,
) -> str:
    """Start a run and return what was done, in words."""
    if not ids:
        raise ArgumentError("No picture matches.", hint="change the search.")
    request = RunRequest(title, model or default_model(parts), prompt=prompt, replaces=replaces)
    parts.descriptions.runner().begin(ids, request)
    return tn(len(ids), "{number} picture is being described.", "{number} pictures are being described.")


def default_model(parts: WebParts) -> str:
    """Return the model that describes if nobody chooses another."""
    settings = parts.serving.live.current()
    return settings.describe.model or settings.active_model or describing_model(settings)


def model_names(parts: WebParts) -> list[str]:
    """Return the models that can describe now, the usual one first."""
    usual = default_model(parts)
    names = [name for name in parts.serving.models.names() if name != usual]
    return [usual, *names]


def renderers(parts: WebParts) -> Mapping[Topic, Renderer]:
    """Return what keeps open pages up to date."""

    def runs() -> list[Fragment]:
        return [Fragment("#runs", parts.pages.text("runs.html", _run_values(parts)))]

    return {Topic.RUNS: runs}


def skip_texts(run: DescriptionRun) -> list[str]:
    """Return why pictures of a run were left out, in words."""
    texts = {
        SkipReason.HUMAN: t("described by a person"),
        SkipReason.DESCRIBED: t("described already"),
        SkipReason.SAME: t("described by this model already"),
        SkipReason.CANCELLED: t("cancelled"),
    }
    return [f"{number} {texts[reason]}" for reason, number in run.skipped.items() if number]


def _values(parts: WebParts, query: str) -> dict[str, Any]:
    return {
        "query": query,
        "models": model_names(parts),
        "prompt": parts.serving.live.current().describe.prompt or "",
        "num_undescribed": parts.library.reading().searcher.search("-is:described", limit=0).total,
        **_run_values(parts),
    }


def _run_values(parts: WebParts) -> dict[str, Any]:
    try:
        database = parts.library.reading().database
    except LibraryMissingError:
        return {"runs": [], "failures": {}, "skip_texts": skip_texts, "states": RunState}
    runs = list_runs(database, _MAX_RUNS)
    failures = {run.id: failures_of(database, run.id, limit=_MAX_FAILURES) for run in runs if run.num_failed}
    return {"runs": runs, "failures": failures, "skip_texts": skip_texts, "states": RunState}


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _to_page(parts: WebParts, notice: str) -> Response:
    return redirect_with_notice(f"{parts.prefix}/describe", notice, parts.prefix)
