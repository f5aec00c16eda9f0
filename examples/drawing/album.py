"""The whole list of example pictures, and which files are plain copies of others."""

from __future__ import annotations

from drawing.album_memes import MEMES
from drawing.album_photos import PAPERS, SCENES
from drawing.album_screens import SCREENSHOTS

PICTURES = (*MEMES, *SCREENSHOTS, *PAPERS, *SCENES)
COPIES = {"memes/saved/meme (7).png": "memes/meme (7).png"}
