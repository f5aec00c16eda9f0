"""Runs the models that the families define."""
