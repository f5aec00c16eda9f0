"""Assembles the server from the protocols and the layers of ``http``, and runs it."""
