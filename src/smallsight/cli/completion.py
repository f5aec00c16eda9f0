"""What the shell's completion offers: models, tags, folders, keys and settings of this machine.

Nothing here may raise or print: a shell would show it in the middle of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps

_MAX_OFFERED = 200
_FILTERS = (
    *("tag:", "folder:", "before:", "after:", "on:", "on:today", "on:yesterday", "year:", "camera:"),
    *("kind:photo", "kind:picture", "kind:animation", "kind:video", "kind:document"),
    *("is:described", "is:undescribed", "is:tagged", "is:untagged", "has:text"),
)


def _quietly(offer: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return what typer calls: the words that go on as what was typed, none on any error."""

    @wraps(offer)
    def complete(incomplete: str) -> list[str]:
        try:
            return [word for word in offer() if word.startswith(incomplete)][:_MAX_OFFERED]
        except Exception:  # noqa: BLE001 - completion is a courtesy
            return []

    del complete.__wrapped__  # typer looks at the signature
    return complete


@_quietly
def model_names() -> Iterable[str]:
    """Offer the models that describe pictures."""
    from smallsight.catalog.catalog import load_catalog
    from smallsight.catalog.registered import RegisteredModels
    from smallsight.settings import load_settings

    settings = load_settings()
    known = [entry.name for entry in load_catalog().entries]
    return [
        *known,
        *RegisteredModels(settings.models_path).names(),
        *settings.remotes,
    ]


@_quietly
def tag_names() -> Iterable[str]:
    """Offer the tags of the library."""
    import sqlalchemy as sa

    from smallsight.library.schema import tag
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    with (
        Application(load_settings(), for_writing=False) as application,
        application.database.reading() as rows,
    ):
        return list(rows.execute(sa.select(tag.c.name).order_by(tag.c.name)).scalars())


@_quietly
def folder_paths() -> Iterable[str]:
    """Offer the folders of the library."""
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    with Application(load_settings(), for_writing=False) as application:
        return [str(summary.path) for summary in application.library.folders()]


@_quietly
def camera_names() -> Iterable[str]:
    """Offer the cameras of the library, the most used first."""
    from smallsight.library.cameras import list_cameras
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    with Application(load_settings(), for_writing=False) as application:
        return [one.name for one in list_cameras(application.database)]


@_quietly
def key_names() -> Iterable[str]:
    """Offer the names of the server's keys."""
    from smallsight.http.api_keys import ApiKeys
    from smallsight.settings import load_settings

    return [key.name for key in ApiKeys(load_settings().api_keys_path).all()]


def search_filters(incomplete: str) -> list[str]:
    """Offer the filters of a search, and their values once one is begun."""
    if incomplete.startswith("tag:"):
        return [_filter("tag", name) for name in tag_names(incomplete.removeprefix("tag:"))]
    if incomplete.startswith("folder:"):
        return [_filter("folder", path) for path in folder_paths(incomplete.removeprefix("folder:"))]
    if incomplete.startswith("camera:"):
        return [_filter("camera", name) for name in camera_names(incomplete.removeprefix("camera:"))]
    return [name for name in _FILTERS if incomplete and name.startswith(incomplete)]


def _filter(name: str, value: str) -> str:
    return f'{name}:"{value}"' if " " in value else f"{name}:{value}"
