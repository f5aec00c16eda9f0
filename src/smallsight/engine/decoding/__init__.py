"""Scheduling, sampling and search, independent of the runtime."""
