"""Suggests tags: things of a vocabulary that a picture embedding model sees in pictures."""
