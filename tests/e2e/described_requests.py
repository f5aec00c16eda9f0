"""The server's description of its routes, with more detail where it says only "text" or "any object"."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import schemathesis
from pydantic import TypeAdapter

from smallsight.http.route_description import COMPONENT, schema_of
from smallsight.immich.wanted_tasks import WantedModel
from smallsight.mcp.library_tools import TOOLS
from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving

from .serving import Server, png

ACCEPT = {"accept": "application/json, text/event-stream"}  # as the Model Context Protocol asks for
OTHER_METHODS = ("initialize", "ping", "tools/list", "resources/list", "resources/read", "notifications/x")


def description(home: Path) -> dict[str, Any]:
    """Return the description of a server with every protocol, and the forms of what is text in it."""
    mounted = {"immich": {"enabled": True}, "generator": {"mounted": True}}
    app = make_app(Serving(LiveSettings({"home": home, **mounted})))
    whole = copy.deepcopy(app.routes.state.description.document())
    schemas = whole["components"]["schemas"]
    schemas |= {f"{tool.name}_arguments": schema_of(tool.arguments) for tool in TOOLS}
    calls = [_rpc("tools/call", {"name": {"const": one.name}, "arguments": _of(one.name)}) for one in TOOLS]
    anything = schemas["RpcRequest"]
    others = [_rpc(one, {}) for one in OTHER_METHODS]
    schemas["RpcRequest"] = {"anyOf": [*calls, *others, anything]}
    tasks = TypeAdapter(dict[str, dict[str, WantedModel]]).json_schema(ref_template=COMPONENT)
    schemas |= tasks.pop("$defs")
    content = {"application/json": {"schema": tasks}}
    whole["paths"]["/entries"] = {
        "post": {"requestBody": {"required": True, "content": content}, "responses": {"200": {}}}
    }
    return whole


def _of(name: str) -> dict[str, Any]:
    return {"$ref": COMPONENT.format(model=f"{name}_arguments")}


def _rpc(method: str, params: dict[str, Any]) -> dict[str, Any]:
    given = {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["integer", "string"]},
        "method": {"const": method},
        "params": {"type": "object", "properties": params, "required": list(params)},
    }
    return {"type": "object", "properties": given, "required": ["jsonrpc", "method", "params"]}


def operations(home: Path) -> tuple[list[Any], Any]:
    """Return the operations of the server, and one whose bodies are what Immich writes as text."""
    schema = schemathesis.openapi.from_dict(description(home))
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if one.path != "/entries"], next(
        one for one in found if one.path == "/entries"
    )


class Refined:
    """Puts into a generated request what no description can say; the same for the same request."""

    def __init__(self, server: Server) -> None:
        asked = {"model": "test", "input": "hello"}
        self._stored = [server.http.post("/v1/responses", json=asked).json()["id"] for _ in range(2)]
        self._pictures = [png(), b"GIF89a", b""]

    def refine(self, case: Any, tasks: Any) -> Any:
        """Return the request with the name of a stored response, a picture, or the tasks as text."""
        chance = random.Random(repr((case.body, case.path_parameters, case.query)))
        if "response_id" in (case.path_parameters or {}) and chance.random() < 0.7:
            case.path_parameters["response_id"] = chance.choice(self._stored)
        if case.operation.path == "/mcp":
            case.headers = {**(case.headers or {}), **ACCEPT}
        if case.operation.path == "/predict" and isinstance(case.body, dict):
            if chance.random() < 0.8:
                case.body["entries"] = json.dumps(tasks, default=repr)
            if "image" in case.body:
                case.body["image"] = chance.choice(self._pictures)
        return case
