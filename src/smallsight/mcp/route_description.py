"""The one route of the Model Context Protocol, for the description in `/openapi.json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from smallsight.http.route_description import POSTING, answer, body_of, error_answers, schema_of


class RpcRequest(BaseModel):
    """A request or notification in JSON-RPC 2.0, such as `initialize`, `tools/list` or `tools/call`."""

    model_config = ConfigDict(extra="allow")

    jsonrpc: Literal["2.0"]
    method: str
    id: int | str | None = None
    params: dict[str, Any] | None = None


class RpcErrorFields(BaseModel):
    """What is known about an error."""

    code: int
    message: str


class RpcErrorBody(BaseModel):
    """An error in JSON-RPC 2.0."""

    jsonrpc: Literal["2.0"]
    id: int | str | None = None
    error: RpcErrorFields


def described_route() -> dict[str, Any]:
    """Return the paths of the application."""
    responses = answer("The response.") | {202: {"description": "The notification was taken."}}
    responses |= error_answers(RpcErrorBody, *POSTING, 406)
    return {
        "paths": {
            "": {
                "post": {
                    "tags": ["mcp"],
                    "summary": "Mcp",
                    "description": "Answer one request of the Model Context Protocol; there are no sessions.",
                    "operationId": "mcp_post",
                    **body_of("application/json", schema_of(RpcRequest)),
                    "responses": {str(status): one for status, one in responses.items()},
                }
            }
        }
    }
