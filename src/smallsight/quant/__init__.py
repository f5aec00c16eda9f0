"""Quantisation of weights, in numpy."""
