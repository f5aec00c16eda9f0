"""Saved searches: a name for an address of the gallery."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from smallsight.library.saved_searches import remove_search, save_search
from smallsight.web.bulk_actions import own_address
from smallsight.web.languages import translate as t
from smallsight.web.notices import redirect_with_notice
from smallsight.web.parts import parts_of


async def save(request: Request) -> Response:
    """Keep the search of the page under a name."""
    parts, form = parts_of(request), await request.form()
    back = own_address(parts, form.get("back"))
    fields = {name: value for name, value in parse_qsl(urlsplit(back).query) if name != "start"}
    name = str(form.get("name", ""))
    await parts.in_thread(lambda: save_search(parts.library.editing().database, name, fields))
    return redirect_with_notice(back, t("The search is saved."), parts.prefix)


async def remove(request: Request) -> Response:
    """Forget a saved search."""
    parts, form = parts_of(request), await request.form()
    search_id = int(request.path_params["search_id"])
    await parts.in_thread(lambda: remove_search(parts.library.editing().database, search_id))
    back = own_address(parts, form.get("back"))
    return redirect_with_notice(back, t("The saved search is removed."), parts.prefix)
