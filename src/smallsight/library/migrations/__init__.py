"""How a library's database came to have the shape it has, one step a file."""

NEWEST = "0002"
"""The shape this version works with; a test holds it equal to the last step."""
