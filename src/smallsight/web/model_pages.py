"""The page of models: memory on this machine, downloads, which one is used, models on other servers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.catalog.entry import Verdict
from smallsight.errors import ArgumentError, LibraryMissingError
from smallsight.inventory.listing import Fit
from smallsight.services.describing import describing_model
from smallsight.services.model_overview import ModelCard
from smallsight.services.remote_providers import ProviderForm, Trial
from smallsight.services.settings_file import InvalidSettingsError, change_settings
from smallsight.web.gallery_pages import find
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.languages import translate as t
from smallsight.web.live_updates import Fragment, Renderer, Topic
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.tiles import tiles_of

_NUM_PICTURES = 8
_MAX_FIELD_CHARS = 4000
_VERDICT_TONES = {
    Verdict.STABLE.name: "good",
    Verdict.EXPERIMENTAL.name: "warn",
    Verdict.DO_NOT_SHIP.name: "bad",
}
_EMPTY_FORM = ProviderForm("", "", "", "", "", "", "")


async def models(request: Request) -> Response:
    """Return the page."""
    return await _page(request)


async def download(request: Request) -> Response:
    """Start the download of a model's files."""
    parts, name = parts_of(request), await _name(request)
    await parts.in_thread(lambda: parts.models.downloads.start(name))
    return _back(parts, name)


async def cancel_download(request: Request) -> Response:
    """Cancel a download."""
    parts, name = parts_of(request), await _name(request)
    parts.models.downloads.cancel(name)
    return _back(parts, name)


async def use_for_questions(request: Request) -> Response:
    """Make a model the one that answers requests which name none."""
    parts, name = parts_of(request), await _name(request)
    if (asked := await _ask_about(request, name, "use")) is not None:
        return asked
    live = parts.serving.live

    def choose() -> None:
        served = parts.serving.models.find(name)
        change_settings({("active_model",): served.name})
        live.note_choice()

    await parts.in_thread(choose)
    parts.updates.publish(Topic.MODELS)
    return _back(parts, name)


async def use_for_descriptions(request: Request) -> Response:
    """Make a model the one that describes pictures; without a name, none does."""
    parts, form = parts_of(request), await request.form()
    name = str(form.get("name", ""))
    if name and (asked := await _ask_about(request, name, "describe-with")) is not None:
        return asked

    def choose() -> None:
        chosen = parts.serving.models.find(name).name if name else None
        change_settings({("describe", "model"): chosen})

    await parts.in_thread(choose)
    parts.updates.publish(Topic.MODELS)
    return _back(parts, name)


async def save_provider(request: Request) -> Response:
    """Store a model on another server; with invalid values, show the page again with what is wrong."""
    parts, form = parts_of(request), await request.form()
    fields = {key: str(value)[:_MAX_FIELD_CHARS] for key, value in form.items() if isinstance(value, str)}
    given = ProviderForm(*(fields.get(name, "") for name in ProviderForm.__dataclass_fields__))
    try:
        is_dropped = await parts.in_thread(lambda: parts.models.providers.save(given))
    except InvalidSettingsError as error:
        return await _page(request, given, " ".join(error.problems.values()))
    except ArgumentError as error:
        return await _page(request, given, str(error).replace(" hint: ", " "))
    note = "?key=dropped" if is_dropped else ""
    return RedirectResponse(f"{parts.prefix}/models{note}#servers", 303)


async def remove_provider(request: Request) -> Response:
    """Remove a model on another server."""
    parts, name = parts_of(request), await _name(request)
    await parts.in_thread(lambda: parts.models.providers.remove(name))
    return RedirectResponse(f"{parts.prefix}/models#servers", 303)


async def try_provider(request: Request) -> Response:
    """Ask another server one question and show the answer, or what went wrong."""
    parts, name = parts_of(request), await _name(request)
    # it may wait for long, so not in a thread of the pages
    trial = await asyncio.to_thread(parts.models.providers.try_out, name)
    if request.headers.get("hx-request"):
        return parts.pages.page(request, "provider_trial.html", {"trial": trial})
    return await _page(request, trial=trial)


async def _ask_about(request: Request, name: str, action: str) -> Response | None:
    """Return the page that asks whether a model that must not ship is wanted all the same, else None."""
    parts, form = parts_of(request), await request.form()
    verdict = await parts.in_thread(lambda: parts.models.overview.verdict_of(name))
    if not verdict.is_doubtful or form.get("confirmed") == "yes":
        return None
    values = {"name": name, "verdict": verdict, "action": action}
    return parts.pages.page(request, "confirm_model.html", values)


def renderers(parts: WebParts) -> Mapping[Topic, Renderer]:
    """Return what keeps open pages of models up to date."""
    return {Topic.MODELS: lambda: _fragments(parts)}


def card_id(name: str) -> str:
    """Return the id of a model's card in the page."""
    return f"m{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def hardware_advice(card: ModelCard) -> str:
    """Return one sentence: what the model needs, and whether this machine has it."""
    choices = [one for one in card.choices if one.is_default]
    fitting = [one for one in choices if one.fit is Fit.FITS]
    if fitting and fitting[0] is choices[0]:
        verdict = t("It runs well on this machine.")
    elif fitting:
        verdict = t("On this machine, take {name}.", name=fitting[0].name)
    elif any(one.fit is Fit.TIGHT for one in choices):
        verdict = t("It is tight on this machine: close other programs first.")
    else:
        verdict = t("It needs more memory than this machine has for models.")
    return verdict if card.entry is None else f"{t(card.entry.hardware)}. {verdict}"


async def _page(
    request: Request, given: ProviderForm | None = None, problem: str = "", trial: Trial | None = None
) -> Response:
    parts = parts_of(request)
    edited = request.query_params.get("edit", "")

    def values() -> dict[str, Any]:
        settings = parts.serving.live.current()
        providers = parts.models.providers.list()
        changed = next((one for one in providers if one.name == edited), None)
        form = given or _EMPTY_FORM
        if changed is not None and given is None:
            form = ProviderForm(
                changed.name, changed.name, changed.base_url, changed.model, "", changed.fallback,
                f"{changed.timeout_s:g}",
            )  # fmt: skip
        return {
            **_state(parts),
            "providers": providers,
            "providers_locked": "remotes" in parts.models.overridden,
            "form": form,
            "form_is_open": given is not None or changed is not None,
            "form_key": changed.shown_key if changed is not None else "",
            "problem": problem,
            "trial": trial,
            "key_dropped": request.query_params.get("key") == "dropped",
            "here": parts.models.overview.here(),
            "chosen": request.query_params.get("try") or settings.active_model or describing_model(settings),
            "pictures": _newest(parts),
        }

    page = await parts.in_thread(values)
    return parts.pages.page(request, "models.html", page, 422 if problem else 200)


def _state(parts: WebParts) -> dict[str, Any]:
    """Return what the page and its live parts show."""
    settings = parts.serving.live.current()
    return {
        "cards": parts.models.overview.cards(),
        "card_id": card_id,
        "advice": hardware_advice,
        "limits": parts.models.overview.limits,
        "verdict_tones": _VERDICT_TONES,
        "active_model": settings.active_model,
        "describing_model": settings.describe.model,
        "describing_locked": parts.models.overridden.get("describe.model"),
    }


def _fragments(parts: WebParts) -> list[Fragment]:
    state = _state(parts)
    fragments = [Fragment("#model-summary", parts.pages.text("model_summary.html", state))]
    for card in state["cards"]:
        values = {**state, "card": card, "with_progress": False}
        name = card_id(card.name)
        fragments.append(Fragment(f"#state-{name}", parts.pages.text("model_state.html", values)))
        if card.download is not None and card.download.is_active:
            fragments.append(Fragment(f"#progress-{name}", parts.pages.text("model_progress.html", values)))
    return fragments


def _newest(parts: WebParts) -> list[tuple[int, str, str]]:
    """Return id, thumbnail and text of the newest pictures, none without a library."""
    search = GallerySearch.from_fields({}, parts.prefix)
    try:
        shown = tiles_of(find(parts, search, 0, _NUM_PICTURES).hits, search, 0)
    except LibraryMissingError:
        return []
    return [(tile.content_id, tile.thumbnail, tile.alt) for tile in shown]


async def _name(request: Request) -> str:
    name = (await request.form()).get("name")
    if not isinstance(name, str) or not name:
        raise ArgumentError("The request names no model.", hint="load the page again.")
    return name


def _back(parts: WebParts, name: str) -> Response:
    base = next(
        (one for one in parts.models.overview.cards() if any(name == c.name for c in one.choices)), None
    )
    anchor = f"#{card_id(base.name)}" if base is not None else ""
    return RedirectResponse(f"{parts.prefix}/models{anchor}", 303)
