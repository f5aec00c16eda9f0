"""Model families, one folder each: configuration, tokens, weights and networks."""
