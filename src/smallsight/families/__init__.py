"""One folder per model family: configuration, tokens, weights and network."""
