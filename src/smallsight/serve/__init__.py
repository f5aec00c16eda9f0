"""Puts the server together, the protocols inside the walls of ``http``, and runs it."""
