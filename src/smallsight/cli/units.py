"""Formats numbers for people: memory in binary units, files in decimal ones, counts with a letter."""

from __future__ import annotations


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
