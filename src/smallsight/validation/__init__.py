"""Measures a variant of a model against its base: memory, speed and quality, and a verdict."""
