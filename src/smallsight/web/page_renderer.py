"""Renders templates. Every value is escaped; the templates have no other way to write text."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from smallsight.version import __version__
from smallsight.web import shown_values
from smallsight.web.assets import Assets
from smallsight.web.languages import NAMES, current_language, grouped, translate, translate_count
from smallsight.web.notices import forget_notice, notice_of
from smallsight.web.tag_styles import tag_class
from smallsight.web.visitor import PageRight, Visitor

THEME_COOKIE = "smallsight-theme"
THEMES = ("system", "light", "dark")
_SMALL_BYTES, _FAST = 1_000, 1
_PAGES_OF_ALL, _PAGES_TO_ASK = frozenset({"/", "/tag-colours.css"}), frozenset({"/live"})


@dataclass(frozen=True, slots=True)
class RenderedPart:
    """A part of a page, in which a template has escaped every value."""

    html: str

    def __html__(self) -> str:  # with it, templates do not escape the part again
        return self.html


class PageRenderer:
    """Renders the pages of one application."""

    def __init__(self, assets: Assets, prefix: str) -> None:
        self._prefix = prefix
        self._environment = Environment(
            loader=PackageLoader("smallsight.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            t=translate,
            tn=translate_count,
            asset=assets.url,
            app=prefix,
            version=__version__,
            languages=NAMES,
            themes=THEMES,
        )
        self._environment.filters.update(shown_values.FILTERS, grouped=grouped, tag_class=tag_class)

    def set_places(self, paths: Iterable[str]) -> None:
        """Say which pages there are, for the navigation."""
        self._environment.globals["places"] = {f"{self._prefix}{path}" for path in paths}

    def page(
        self, request: Request, template: str, values: Mapping[str, Any] | None = None, status: int = 200
    ) -> HTMLResponse:
        """Return a whole page, or a fragment of one."""
        theme = request.cookies.get(THEME_COOKIE)
        notice = notice_of(request)
        context = {
            "path": request.url.path,
            "form_token": request.state.form_token,
            "notice": notice,
            "theme": theme if theme in THEMES else THEMES[0],
            **self._what_may_be_done(request.state.visitor),
        }
        response = _html(request, self.text(template, context | dict(values or {})), status)
        if notice is not None:
            forget_notice(response, self._prefix)
        return response

    def _what_may_be_done(self, visitor: Visitor) -> dict[str, Any]:
        """Return what templates leave out for people who may not do everything."""
        rights = visitor.rights
        allowed: dict[str, Any] = {
            "person": visitor.name,
            "may_ask": PageRight.ASK in rights,
            "may_edit": PageRight.EDIT in rights,
            "may_manage": PageRight.MANAGE in rights,
        }
        if PageRight.MANAGE not in rights:
            pages = _PAGES_OF_ALL | (_PAGES_TO_ASK if PageRight.ASK in rights else frozenset())
            allowed["places"] = {f"{self._prefix}{path}" for path in pages}
        return allowed

    def fragment(self, request: Request, part: RenderedPart) -> HTMLResponse:
        """Return a part of a page that is rendered already."""
        return _html(request, part.html, 200)

    def part(self, template: str, values: Mapping[str, Any]) -> RenderedPart:
        """Return a rendered template, for other templates and for ``fragment``."""
        return RenderedPart(self.text(template, values))

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a rendered template, for responses that are not pages of one request."""
        context = {"language": current_language.get()} | dict(values)
        return self._environment.get_template(template).render(context)


def _html(request: Request, text: str, status: int) -> HTMLResponse:
    """Return a page, compressed where the browser takes that; the one secret in it differs each time."""
    data, headers = text.encode(), {"vary": "accept-encoding"}
    if len(data) > _SMALL_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        data = gzip.compress(data, _FAST, mtime=0)
        headers["content-encoding"] = "gzip"
    return HTMLResponse(data, status, headers)
