"""How long work reports how far it is: the callback for one number."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[float], None]  # the part that is done, from 0 to 1; may be called in any thread
