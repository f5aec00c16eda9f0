"""The searches that show what the example pictures are for, with the files that should come first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Sort(Enum):
    """How a search is meant to find its pictures."""

    KEYWORD = "keyword"
    SEMANTIC = "semantic"
    MISSPELT = "misspelt"


@dataclass(frozen=True)
class Query:
    """A search and the files that should be found before all others, in any order.

    A semantic one shares no word with the text of its pictures.
    """

    words: str
    sort: Sort
    expect: tuple[str, ...]


MONDAY = ("memes/IMG_2041.jpg", "memes/IMG-20260302-WA0007.jpg")
DINOSAUR = ("memes/meme (7).png", "memes/saved/meme (7).png")
TERMINAL = "screenshots/Screenshot from 2025-11-20 14-22-09.png"
RECIPE = "photos/WhatsApp Image 2026-02-14 at 18.02.11.jpeg"
ALARM = "screenshots/Screenshot_20260212-075901.jpg"

QUERIES = (
    Query("another coffee", Sort.KEYWORD, MONDAY),
    Query("seagulls", Sort.KEYWORD, ("photos/DSC_0482.jpg",)),
    Query("permission denied", Sort.KEYWORD, (TERMINAL,)),
    Query("gull island", Sort.KEYWORD, ("photos/document (2).webp", "screenshots/Capture.PNG")),
    Query("large salad", Sort.KEYWORD, ("screenshots/Screenshot_2026-03-02-21-47-33.png",)),
    Query("泡面", Sort.KEYWORD, ("memes/photo_2026-01-17_23-40-12.jpg",)),
    Query("software release before the weekend", Sort.SEMANTIC, ("memes/IMG_7730.jpg",)),
    Query("dinosaur", Sort.SEMANTIC, DINOSAUR),
    Query("artificial intelligence with emotions", Sort.SEMANTIC, ("memes/download.webp",)),
    Query("how to make breakfast", Sort.SEMANTIC, (RECIPE,)),
    Query("clothes waiting for a wash", Sort.SEMANTIC, ("memes/unnamed.jpg",)),
    Query("holiday dreams that cost too much", Sort.SEMANTIC, ("memes/image (14).jpg",)),
    Query("cold winter forecast", Sort.SEMANTIC, ("screenshots/IMG_3390.PNG",)),
    Query("too tired to get up in the morning", Sort.SEMANTIC, (ALARM,)),
    Query("cretacious", Sort.MISSPELT, DINOSAUR),
    Query("motivatoin", Sort.MISSPELT, ("memes/giphy.gif",)),
    Query("pankakes", Sort.MISSPELT, (RECIPE,)),
    Query("apologize to the prinetr", Sort.MISSPELT, ("screenshots/error.bmp",)),
)
