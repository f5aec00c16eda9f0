"""The applications of the other protocols and of the pages, and how each is mounted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from smallsight.anthropic import tenant as anthropic_tenant
from smallsight.anthropic.error_answer import AnthropicErrors
from smallsight.generator import tenant as generator_tenant
from smallsight.http.authorise import UseRoute
from smallsight.http.error_shape import ErrorShape
from smallsight.http.known_methods import MethodTable, RouteMethods
from smallsight.immich.error_answer import ImmichErrors
from smallsight.immich.tenant import make_immich_apps
from smallsight.mcp import tenant as mcp_tenant
from smallsight.mcp.route_description import described_route
from smallsight.mcp.rpc_errors import RpcErrors
from smallsight.ollama import tenant as ollama_tenant
from smallsight.serve.mounting import PrefixMount, WholePaths
from smallsight.services.serving import Serving
from smallsight.web import tenant as web_tenant


@dataclass(frozen=True, slots=True)
class Tenant:
    """An application with its own protocol and error shape, mounted below ``prefix`` ("/jobs").

    With ``is_bare`` the prefix without a slash is its root too. With ``has_whole_paths`` its routes begin
    with the prefix, and may be the prefix itself. ``description`` is for an application that has none.
    """

    prefix: str
    app: Starlette
    errors: ErrorShape
    is_bare: bool = False
    has_whole_paths: bool = False
    description: Mapping[str, Any] | None = None

    def mounted(self) -> Mount:
        """Return the route that serves it."""
        if self.has_whole_paths:
            return WholePaths(self.prefix, self.app)
        return PrefixMount(self.prefix, self.app, is_bare=self.is_bare)

    def described(self) -> Mapping[str, Any]:
        """Return the description of its routes, empty where it has none."""
        if self.description is not None:
            return self.description
        return self.app.openapi() if isinstance(self.app, FastAPI) else {}


def own_tenants(serving: Serving) -> Iterator[Tenant]:
    """Yield the tenants of a server: those that every server has, and those that a setting asks for."""
    web, ollama = web_tenant.make_web_app(serving), ollama_tenant.make_ollama_app(serving)
    yield Tenant(web_tenant.PREFIX, web.app, web.errors)
    yield Tenant(ollama_tenant.PREFIX, ollama.app, ollama.errors)
    mcp, described = mcp_tenant.make_mcp_app(serving), described_route()
    yield Tenant(mcp_tenant.PREFIX, mcp, RpcErrors(), is_bare=True, description=described)
    messages = anthropic_tenant.make_anthropic_app()
    yield Tenant(anthropic_tenant.PREFIX, messages, AnthropicErrors(), has_whole_paths=True)
    for prefix, app in make_immich_apps(serving).items():
        yield Tenant(prefix, app, ImmichErrors(), has_whole_paths=True)
    if serving.settings.generator.mounted:
        jobs = generator_tenant.make_generator_app(serving, route_class=UseRoute)
        yield Tenant(generator_tenant.PREFIX, jobs, generator_tenant.GeneratorErrors())


def declared_paths(*tenants: Tenant) -> set[str]:
    """Return the paths of all routes without a name in them, but not the pages', which ends in a slash."""
    found = {
        path if tenant.has_whole_paths else f"{tenant.prefix}{path}"
        for tenant in tenants
        if tenant.prefix != web_tenant.PREFIX
        for path in (str(getattr(route, "path", "")) for route in _declared(tenant.app.routes))
    }
    return {path for path in found if path.startswith("/") and "{" not in path} - {web_tenant.PREFIX}


def declared_methods(*tenants: Tenant) -> MethodTable:
    """Return which methods the routes of all tenants declare, by their paths."""
    return MethodTable(
        [
            RouteMethods("" if tenant.has_whole_paths else tenant.prefix, rest, frozenset(methods))
            for tenant in tenants
            for route in _declared(tenant.app.routes)
            if (methods := getattr(route, "methods", None)) and (rest := getattr(route, "path_regex", None))
        ]
    )


def _declared(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield routes, those of included routers too, but none of mounted applications."""
    for route in routes:
        if not isinstance(route, Mount):
            inner = getattr(getattr(route, "original_router", route), "routes", None)
            yield from [route] if inner is None else _declared(inner)
