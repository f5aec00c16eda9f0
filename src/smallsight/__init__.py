"""Smallsight: find, describe and question your pictures with small vision-language models.

Importing this package loads nothing heavy: neither OpenVINO, nor a database, nor a web stack.
"""

from smallsight.version import __version__

__all__ = ["__version__"]
