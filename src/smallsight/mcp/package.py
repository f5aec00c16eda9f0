"""Says what to install when the ``mcp`` package, which speaks the protocol, is not there."""

from __future__ import annotations

from importlib.util import find_spec

from smallsight.errors import MissingExtraError


def require_package() -> None:
    """Raise MissingExtraError without the package; importing it takes a second, finding it does not."""
    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise MissingExtraError(
            "The Model Context Protocol needs the package mcp.", hint="pip install 'smallsight[mcp]'"
        )
