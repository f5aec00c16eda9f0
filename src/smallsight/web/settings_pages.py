"""The page of settings: tags, prompts, limits, keys, and how the pages look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, SettingsError
from smallsight.http.api_keys import ApiKey, Scope
from smallsight.http.page_password import MAX_CHARS, MIN_CHARS
from smallsight.services.setting_fields import FieldKind, SettingField, setting_field, setting_value
from smallsight.services.settings_file import InvalidSettingsError, change_settings
from smallsight.web.languages import COOKIE as LANGUAGE_COOKIE
from smallsight.web.languages import NAMES as LANGUAGES
from smallsight.web.languages import translate as t
from smallsight.web.login_pages import session_values
from smallsight.web.page_renderer import THEME_COOKIE, THEMES
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.shown_values import shown_bytes
from smallsight.web.tag_pages import TagList, listed_tags

_A_YEAR_S = 365 * 24 * 3600
_DESCRIBE = ("describe.prompt", "describe.length", "describe.max_tokens", "describe.detail")
_ANSWERS = ("inference.max_tokens", "inference.temperature")
_LIMITS = (
    "limits.max_file_bytes",
    "limits.max_image_pixels",
    "limits.decode_timeout_s",
    "limits.max_video_s",
    "search.min_similarity",
    "server.max_answering",
    "memory.max_gb",
    "memory.max_loaded_models",
    "memory.keep_alive_s",
)
GROUPS: Mapping[str, tuple[str, ...]] = {"descriptions": _DESCRIBE, "answers": _ANSWERS, "limits": _LIMITS}
_PROMPT, _LENGTH = "describe.prompt", "describe.length"


@dataclass(frozen=True, slots=True)
class Entered:
    """What a person entered in one group of settings, and what is wrong with it by name."""

    group: str
    values: Mapping[str, str]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShownField:
    """A setting in the form; ``locked_by`` is "flag" or "environment" if the page cannot change it."""

    field: SettingField
    label: str
    value: str
    unit_hint: str
    bounds: str
    default: str
    locked_by: str
    variable: str
    problem: str
    is_long: bool


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key that is shown this once, or why there is none."""

    key: str = ""
    name: str = ""
    problem: str = ""


async def settings(request: Request) -> Response:
    """Return the page."""
    return await _page(request)


async def save_values(request: Request) -> Response:
    """Store one group of settings; invalid values are shown again with what is wrong beside each."""
    parts, form = parts_of(request), await request.form()
    group = str(form.get("group", ""))
    if group not in GROUPS:
        raise ArgumentError("There is no such group of settings.", hint="load the page again.")
    entered = {
        name: value.replace("\r\n", "\n").strip()
        for name in GROUPS[group]
        if name not in parts.models.overridden and isinstance(value := form.get(name), str)
    }
    problems = await parts.in_thread(lambda: _store(parts, entered))
    if problems:
        return await _page(request, entered=Entered(group, entered, problems), status=422)
    return RedirectResponse(f"{parts.prefix}/settings?saved={group}#{group}", 303)


async def save_appearance(request: Request) -> Response:
    """Remember the theme and the language in this browser."""
    parts, form = parts_of(request), await request.form()
    response = RedirectResponse(f"{parts.prefix}/settings#appearance", 303)
    for cookie, value, known in (
        (THEME_COOKIE, form.get("theme"), [one for one in THEMES if one != THEMES[0]]),
        (LANGUAGE_COOKIE, form.get("language"), list(LANGUAGES)),
    ):
        if value in known:
            response.set_cookie(
                cookie, str(value), _A_YEAR_S, path=parts.prefix, httponly=True, samesite="lax"
            )
        else:
            response.delete_cookie(cookie, path=parts.prefix, httponly=True, samesite="lax")
    return response


async def add_key(request: Request) -> Response:
    """Create a key and show it, this once."""
    parts, form = parts_of(request), await request.form()
    name = str(form.get("name", ""))
    scopes = frozenset(scope for scope in Scope if scope.value in form.getlist("scope"))
    if not scopes:
        created = CreatedKey(name=name, problem=t("Choose what the key allows."))
    else:
        try:
            key = await parts.in_thread(lambda: parts.serving.keys.add(name, scopes))
            created = CreatedKey(key, name.strip())
        except (ArgumentError, SettingsError) as error:
            created = CreatedKey(name=name, problem=str(error).replace(" hint: ", " "))
    response = await _page(request, created=created, status=200 if created.key else 422)
    response.headers["cache-control"] = "no-store"
    return response


async def remove_key(request: Request) -> Response:
    """Remove a key, which fails from now on."""
    parts, form = parts_of(request), await request.form()
    name = str(form.get("name", ""))
    await parts.in_thread(lambda: parts.serving.keys.remove(name))
    return RedirectResponse(f"{parts.prefix}/settings#keys", 303)


async def _page(
    request: Request,
    *,
    entered: Entered | None = None,
    created: CreatedKey | None = None,
    status: int = 200,
) -> Response:
    parts = parts_of(request)
    search = request.query_params.get("tags", "")[:100]

    def values() -> dict[str, Any]:
        keys, keys_problem = _keys(parts)
        tags: TagList | None = listed_tags(parts, search)
        return {
            "groups": {group: list(_fields(parts, group, entered)) for group in GROUPS},
            "saved": request.query_params.get("saved", ""),
            "tags": tags,
            "keys": keys,
            "keys_problem": keys_problem,
            "scopes": _scope_titles(),
            "created": created or CreatedKey(),
            "password_problem": _password_problem(request.query_params.get("password", "")),
            "chosen_language": request.cookies.get(LANGUAGE_COOKIE, ""),
            **session_values(request),
        }

    return parts.pages.page(request, "settings.html", await parts.in_thread(values), status)


def _store(parts: WebParts, entered: Mapping[str, str]) -> Mapping[str, str]:
    """Write what has changed, and return what is wrong by the names of the settings."""
    current = parts.serving.live.current()
    prompt, length = (
        entered.get(name, _as_text(setting_value(current, name))) for name in (_PROMPT, _LENGTH)
    )
    if prompt and length and (_PROMPT in entered or _LENGTH in entered):
        return {_LENGTH: t("A length cannot be combined with a prompt: ask for it in the prompt.")}
    changed = {
        name: value for name, value in entered.items() if value != _as_text(setting_value(current, name))
    }
    try:
        change_settings({setting_field(name).names: value or None for name, value in changed.items()})
    except InvalidSettingsError as error:
        return error.problems
    return {}


def _fields(parts: WebParts, group: str, entered: Entered | None) -> Iterator[ShownField]:
    current = parts.serving.live.current()
    given = entered if entered is not None and entered.group == group else Entered(group, {}, {})
    for name in GROUPS[group]:
        field, value = setting_field(name), setting_value(current, name)
        locked_by = parts.models.overridden.get(name, "")
        yield ShownField(
            field,
            _labels()[name],
            given.values.get(name, _as_text(value)),
            shown_bytes(value) if name.endswith("_bytes") else "",
            _bounds(field),
            _as_text(field.default),
            locked_by,
            f"SMALLSIGHT_{name.upper().replace('.', '__')}" if locked_by == "environment" else "",
            given.problems.get(name, ""),
            field.kind is FieldKind.TEXT,
        )


def _bounds(field: SettingField) -> str:
    low, high = (_as_text(bound) for bound in (field.minimum, field.maximum))
    if low and high and not field.is_above:
        return t("From {low} to {high}.", low=low, high=high)
    if low and high:
        return t("Above {low}, at most {high}.", low=low, high=high)
    if low:
        return t("Above {low}.", low=low) if field.is_above else t("At least {low}.", low=low)
    return ""


def _labels() -> Mapping[str, str]:
    return {
        "describe.prompt": t("Prompt"),
        "describe.length": t("Length"),
        "describe.max_tokens": t("Longest description"),
        "describe.detail": t("Detail"),
        "inference.max_tokens": t("Longest answer"),
        "inference.temperature": t("Temperature"),
        "limits.max_file_bytes": t("Largest file"),
        "limits.max_image_pixels": t("Largest picture"),
        "limits.decode_timeout_s": t("Time for one picture"),
        "limits.max_video_s": t("Longest video"),
        "search.min_similarity": t("Similarity of meaning"),
        "server.max_answering": t("Answers at once"),
        "memory.max_gb": t("Memory"),
        "memory.max_loaded_models": t("Loaded models"),
        "memory.keep_alive_s": t("Idle models"),
    }


def _password_problem(name: str) -> str:
    texts = {
        "differs": t("The two passwords differ."),
        "length": t("A password has {low} to {high} characters.", low=MIN_CHARS, high=MAX_CHARS),
    }
    return texts.get(name, "")


def _scope_titles() -> Mapping[str, str]:
    return {
        Scope.USE.value: t("use: ask models"),
        Scope.MONITOR.value: t("monitor: read health and metrics"),
        Scope.EDIT.value: t("edit: change words and tags"),
        Scope.PAGES.value: t("pages: log in to these pages"),
    }


def _keys(parts: WebParts) -> tuple[tuple[ApiKey, ...], str]:
    try:
        return parts.serving.keys.all(), ""
    except SettingsError as error:
        return (), str(error).replace(" hint: ", " ")


def _as_text(value: object) -> str:
    """Return a value as a person enters it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
