"""Which packages of the ``torch`` extra are installed; imports none of them."""

from __future__ import annotations

from importlib.util import find_spec

from smallsight.errors import MissingExtraError

FAMILIES = ("smolvlm", "florence2", "moondream2")  # that have a loader for this engine
INSTALL = "pip install 'smallsight[torch]'"
_NEEDED = ("torch", "transformers")
_FOR_QUANTISED = ("accelerate", "bitsandbytes")


def has_torch() -> bool:
    """Return whether the torch engine can be loaded."""
    return all(find_spec(name) is not None for name in _NEEDED)


def has_bitsandbytes() -> bool:
    """Return whether the torch engine can quantise weights."""
    return all(find_spec(name) is not None for name in _FOR_QUANTISED)


def require_torch() -> None:
    """Raise MissingExtraError if the torch engine cannot be loaded."""
    _require("The torch engine", _NEEDED)


def require_bitsandbytes() -> None:
    """Raise MissingExtraError if the torch engine cannot quantise weights."""
    _require("Quantising with the torch engine", _FOR_QUANTISED)


def require_accelerate() -> None:
    """Raise MissingExtraError if the torch engine cannot place weights on another device than the CPU."""
    _require("The torch engine on a GPU", _FOR_QUANTISED[:1])


def _require(what: str, names: tuple[str, ...]) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"{what} needs the package {' and '.join(missing)}.", hint=f"{INSTALL}.")
