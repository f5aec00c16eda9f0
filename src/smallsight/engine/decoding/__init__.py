"""Sequences, scheduling and search: what is computed next and what its results mean, for any runtime."""
