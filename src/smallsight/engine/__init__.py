"""Runs the networks that families lay out."""
