"""Search for pictures: by words, by meaning and by appearance."""
