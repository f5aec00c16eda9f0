"""The schema migrations of the library's database, one step per file."""

NEWEST = "0015"
"""The schema revision of this version; a test checks that it is the last step."""
