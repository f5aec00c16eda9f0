"""Pebble: a toy family that resembles SmolVLM; tests follow the recipe in CONTRIBUTING with it."""
