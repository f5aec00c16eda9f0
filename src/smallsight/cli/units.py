"""Formats numbers for people: memory in binary units, files in decimal ones, counts with a letter."""

from __future__ import annotations

from datetime import UTC, datetime


def duration_text(seconds: float) -> str:
    """Format a duration as people say it: ``4 s``, ``19 min``, ``2 h 5 min``, ``3 days``."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(seconds / 86_400)} days"


def moment_text(time_s: float) -> str:
    """Format a moment, in seconds since 1970, in the time zone of this machine: ``2026-11-28 14:05``."""
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone():%Y-%m-%d %H:%M}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 picture``, ``1,204 pictures``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def memory_text(num_bytes: int) -> str:
    """Format an amount of memory: ``489 MiB``, ``3.6 GiB``."""
    mebibytes = num_bytes / 1024**2
    return f"{mebibytes:.0f} MiB" if mebibytes < 1024 else f"{mebibytes / 1024:.1f} GiB"


def file_size_text(num_bytes: int) -> str:
    """Format a file size as disks and hubs do: ``3 kB``, ``513 MB``, ``3.9 GB``."""
    if num_bytes < 1_000_000:
        return f"{num_bytes / 1000:.0f} kB"
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1_000_000_000 else f"{num_bytes / 1e9:.1f} GB"


def count_text(number: int) -> str:
    """Format a number of parameters: ``6.0 M``, ``256 M``, ``1.93 B``."""
    millions = number / 1e6
    if millions >= 1000:
        return f"{millions / 1000:.2f} B"
    return f"{millions:.0f} M" if millions >= 10 else f"{millions:.1f} M"
