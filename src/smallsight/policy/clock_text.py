"""Times within a video as players show them."""

from __future__ import annotations

__all__ = ["clock_text"]


def clock_text(seconds: float) -> str:
    """Return a time such as "0:12" or "1:02:03", rounded down."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
