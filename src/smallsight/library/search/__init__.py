"""Finding pictures again: by their words, by what they mean, by what they look like."""
