"""Ray Serve runs the server's application: several replicas behind one address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp

from smallsight.errors import ArgumentError
from smallsight.ray.node_settings import load_ray, needed_memory_bytes, worker_threads
from smallsight.serve.app import make_app
from smallsight.serve.process import require_key
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving
from smallsight.settings import load_settings

__all__ = ["openai_app"]


class _Arguments(BaseModel):
    """What ``openai_app`` takes; numbers may be text, as from a command line."""

    model_config = ConfigDict(extra="forbid")

    model: str
    precision: str = "auto"
    replicas: int = Field(1, ge=1)
    num_cpus: int = Field(1, ge=1)
    host: str = "127.0.0.1"


def openai_app(arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an Application of Ray Serve
    """Return the server as an application for ``ray.serve.run``: all its protocols, in each replica.

    ``arguments``: ``model``, ``precision``, ``replicas``, ``num_cpus`` of each replica, and ``host``, the
    address that Serve listens on, because a server that others can reach needs a key on every machine. On a
    command line: ``serve run smallsight.ray:openai_app model=NAME replicas=2``. Each machine uses the
    settings, models and keys of its home. Raises ArgumentError, MissingExtraError and ModelError.
    """
    try:
        wanted = _Arguments.model_validate(dict(arguments))
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(map(str, first["loc"]))
        raise ArgumentError(
            f"{named}: {first['msg']}.", hint=f"known are {', '.join(_Arguments.model_fields)}."
        ) from error
    load_ray()
    from ray import serve  # noqa: PLC0415 - an extra

    describe = {"model": wanted.model, "precision": wanted.precision}
    settings = load_settings(describe=describe)
    overrides = {
        "active_model": wanted.model,
        "inference": {"dtype": wanted.precision},
        "server": {"host": wanted.host},
    }

    def build() -> ASGIApp:
        return _application(overrides)

    deployment = serve.deployment(
        name="smallsight",
        num_replicas=wanted.replicas,
        max_ongoing_requests=settings.server.max_requests,
        ray_actor_options={"num_cpus": wanted.num_cpus, "memory": needed_memory_bytes(settings)},
    )
    return deployment(serve.ingress(build)()).bind()


def _application(overrides: Mapping[str, Any]) -> ASGIApp:
    """Make the application of a replica, in its event loop."""
    live = LiveSettings({**overrides, "threads": worker_threads()})
    require_key(live.current())
    return make_app(Serving(live)).asgi
