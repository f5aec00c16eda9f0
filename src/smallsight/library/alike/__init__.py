"""Finds copies of a picture and pictures like it: hashes of views, candidate pairs, and their comparison."""
