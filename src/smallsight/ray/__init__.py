"""Smallsight on a Ray cluster: ``Describe`` for data sets, ``openai_app`` for Ray Serve.

Ray itself is the extra ``ray``: ``pip install 'smallsight[ray]'``.
"""

from __future__ import annotations

from smallsight.ray.data_set import read_pictures
from smallsight.ray.describe import Describe, resources
from smallsight.ray.serving import openai_app

__all__ = ["Describe", "openai_app", "read_pictures", "resources"]
