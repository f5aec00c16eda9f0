"""Every error class of Smallsight's, in the order of their definition."""

from __future__ import annotations

from smallsight import errors

ERROR_CLASSES = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, BaseException)
]
