"""Immich's machine-learning service: the text in pictures, and vectors of pictures and texts.

Knows no other protocol.
"""
