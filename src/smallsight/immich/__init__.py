"""Immich's machine-learning service: the text in pictures, and vectors of texts. Knows no other protocol."""
